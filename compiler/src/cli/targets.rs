//! `mobilec targets`

use clap::Args;
use mobilec::Result;
use mobilec_targets::ALL;

/// Lists the targets.
#[derive(Args)]
pub struct Targets {
    /// One JSON array on standard output
    #[arg(long)]
    json: bool,
}

impl Targets {
    /// Prints the list.
    pub fn execute(&self) -> Result {
        if self.json {
            let rows: Vec<serde_json::Value> = ALL
                .iter()
                .map(|t| serde_json::json!({ "name": t.name, "about": t.about, "l1_bytes": t.l1_bytes, "l2_bytes": t.l2_bytes }))
                .collect();
            return super::print_json(&rows.into());
        }
        let mut text = String::new();
        for target in ALL {
            text += &format!("{:14} {}\n", target.name, target.about);
        }
        text += &format!("{:14} the best of these for this CPU\n", "native");
        super::print(&text)
    }
}
