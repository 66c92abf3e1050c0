//! What the importer assumed, for the user to read.

/// Notes in the order in which they came up, each once.
#[derive(Clone, Debug, Default)]
pub struct Notes(pub Vec<String>);

impl Notes {
    /// Adds a note.
    pub fn add(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// Adds notes.
    pub fn add_all(&mut self, notes: impl IntoIterator<Item = String>) {
        notes.into_iter().for_each(|note| self.add(note));
    }
}
