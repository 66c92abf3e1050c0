//! The arena over time, as text: a row a step, a column a few bytes, a letter a value.

use super::{Buffer, Plan, Space, Step};
use std::fmt::Write as _;

/// Columns of the drawing.
const COLUMNS: usize = 64;

impl Plan {
    /// What lies where in the arena at each step. A value is a small letter while it is there, and a capital
    /// one in the step that writes it; where it follows another through the same bytes, the one that is
    /// written is shown. In a region of several bands everything that it touches is there all the time, but
    /// for rows that are used in the band in which they are made.
    pub fn drawing(&self) -> String {
        let column_bytes = self.arena_bytes.div_ceil(COLUMNS).max(1);
        let mut text = format!("the arena over time, {column_bytes} bytes a column\n");
        let letters = self.letters();
        for (at, (region, step)) in self.steps().enumerate() {
            let mut row = vec!['·'; self.arena_bytes.div_ceil(column_bytes)];
            let live = |buffer: &Buffer| buffer.live.0 <= at && at <= buffer.live.1;
            for (buffer, letter) in self.buffers.iter().zip(&letters).filter(|(buffer, _)| live(buffer)) {
                fill(&mut row, buffer, column_bytes, *letter);
            }
            let written = letters[step.write.0].to_ascii_uppercase();
            fill(&mut row, self.buffer(step.write), column_bytes, written);
            let row: String = row.into_iter().collect();
            let _ = writeln!(
                text,
                "{} {row} {written} {}",
                self.label(region, step),
                self.layers[step.layer].name
            );
        }
        text
    }

    /// The region, at its first step.
    fn label(&self, region: usize, step: &Step) -> String {
        let first = self.regions[region].steps.first().is_some_and(|first| std::ptr::eq(first, step));
        let width = self.regions.len().to_string().len() + 1;
        format!("{:<width$}", if first { format!("r{region}") } else { String::new() })
    }

    /// A letter for each buffer, in the order in which they come to be; after z follows a.
    fn letters(&self) -> Vec<char> {
        let mut order: Vec<usize> = (0..self.buffers.len()).collect();
        order.retain(|&i| matches!(self.buffers[i].space, Space::Arena(_)));
        order.sort_by_key(|&i| (self.buffers[i].live, i));
        let mut letters = vec!['?'; self.buffers.len()];
        for (i, letter) in order.into_iter().zip(('a'..='z').cycle()) {
            letters[i] = letter;
        }
        letters
    }
}

fn fill(row: &mut [char], buffer: &Buffer, column_bytes: usize, letter: char) {
    let (Space::Arena(start), 1..) = (buffer.space, buffer.bytes()) else { return };
    let (first, last) = (start / column_bytes, (start + buffer.bytes() - 1) / column_bytes);
    row.iter_mut().take(last + 1).skip(first).for_each(|cell| *cell = letter);
}
