//! The plan as text: one line a step, the bands of regions, and the arena over time.

use super::{Access, Buffer, Plan, Space, Step};
use std::fmt::Write as _;

impl Plan {
    /// One line a step — layer, shape, kernel, bytes — and the sums.
    pub fn text(&self) -> String {
        let mut text = format!(
            "target {}, arena {} (lower bound {}), weights {}, {} MACs\n",
            self.target.name,
            self.arena_bytes,
            self.arena_lower_bound_bytes,
            self.weights.len(),
            self.macs()
        );
        let rows: Vec<[String; 5]> = self.steps().map(|(region, step)| self.row(region, step)).collect();
        let widths: Vec<usize> =
            (0..5).map(|c| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0)).collect();
        for row in &rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &w)| format!("{cell:w$}")).collect();
            let _ = writeln!(text, "{}", cells.join("  ").trim_end());
        }
        for port in &self.outputs {
            let _ = writeln!(
                text,
                "output {} {} at {}",
                port.name,
                port.ty,
                self.place(self.buffer(port.buffer))
            );
        }
        for region in self.regions.iter().filter(|region| region.bands > 1) {
            let last = region.steps.last().map_or("", |step| self.layers[step.layer].name.as_str());
            let _ = writeln!(text, "to {last}: {} bands", region.bands);
            for step in &region.steps {
                let _ = writeln!(text, "  {}: {}", self.layers[step.layer].name, step.bands);
            }
        }
        text + &self.drawing()
    }

    fn row(&self, region: usize, step: &Step) -> [String; 5] {
        let layer = &self.layers[step.layer];
        let kernels: Vec<&str> = step.kernels.iter().map(|choice| choice.kernel.path).collect();
        let reads: Vec<String> = step
            .reads
            .iter()
            .map(|read| {
                let place = self.place(self.buffer(read.buffer));
                match read.access {
                    Access::Whole => place,
                    Access::Window { kernel: 1, stride: 1, .. } => format!("{place}:row"),
                    Access::Window { kernel, stride, .. } => format!("{place}:{kernel}/{stride}"),
                }
            })
            .collect();
        [
            format!("r{region}"),
            layer.name.clone(),
            format!("{} {}", layer.output, layer.operation),
            kernels.join(" | "),
            format!("{} → {}{}", reads.join(", "), self.place(self.buffer(step.write)), asked(step)),
        ]
    }

    fn place(&self, buffer: &Buffer) -> String {
        match buffer.space {
            Space::Arena(at) => format!("a[{at}..{}]", at + buffer.bytes()),
            Space::Input(index) => format!("in{index}"),
            Space::Weights(at) => format!("w[{at}..{}]", at + buffer.bytes()),
        }
    }

    /// For every step the chosen kernel with its estimate, and those that lost with the reason.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        for (_, step) in self.steps() {
            let _ = writeln!(text, "{} {:?}", self.layers[step.layer].name, step.request.shape);
            for choice in &step.kernels {
                let _ = writeln!(text, "  {} {:.0} cycles", choice.kernel.path, choice.cycles);
                for (kernel, outcome) in &choice.losers {
                    let why = match outcome {
                        Ok(cycles) => format!("{cycles:.0} cycles"),
                        Err(reason) => (*reason).to_owned(),
                    };
                    let _ = writeln!(text, "    not {}: {why}", kernel.path);
                }
            }
        }
        text
    }
}

/// What a step asks for on behalf of later ones.
fn asked(step: &Step) -> String {
    let asked = step.prefetch.iter().filter(|bytes| !bytes.is_empty());
    asked.map(|bytes| format!(", prefetches w[{}..{}]", bytes.start, bytes.end)).collect()
}
