//! `mobilec zoo`

use clap::Args;
use mobilec::Result;
use mobilec::zoo::{self, VARIANTS, Variant};
use serde_json::json;

/// Lists the networks of the MobileNet family, or prints one.
#[derive(Args)]
pub struct Zoo {
    /// Print this network's text instead
    name: Option<String>,
    /// One JSON array on standard output
    #[arg(long)]
    json: bool,
}

/// A variant with its counts.
struct Row {
    variant: Variant,
    parameters: usize,
    macs: u64,
}

impl Zoo {
    /// Prints.
    pub fn execute(&self) -> Result {
        let chosen = self.name.as_deref().map(zoo::by_name).transpose()?;
        if let (Some(entry), false) = (chosen, self.json) {
            return super::print(entry.text);
        }
        let of_name = |variant: &&Variant| chosen.is_none_or(|entry| entry.name == variant.name);
        let rows = VARIANTS.iter().filter(of_name).map(row).collect::<Result<Vec<Row>>>()?;
        if self.json {
            return super::print_json(&rows.iter().map(object).collect());
        }
        super::print(&table(&rows))
    }
}

fn row(variant: &Variant) -> Result<Row> {
    let network = zoo::by_name(variant.name)?.describe(&variant.options())?.network;
    Ok(Row { variant: *variant, parameters: network.count_parameters(), macs: network.graph.macs() })
}

fn object(row: &Row) -> serde_json::Value {
    let Row { variant, parameters, macs } = row;
    json!({
        "name": variant.name, "alpha": variant.alpha, "rho": variant.rho, "parameters": parameters,
        "macs": macs, "top1": variant.top1,
    })
}

fn table(rows: &[Row]) -> String {
    use comfy_table::CellAlignment::Right;
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["network", "alpha", "rho", "parameters", "MACs", "top-1"]);
    for Row { variant, parameters, macs } in rows {
        table.add_row([
            variant.name.to_owned(),
            variant.alpha.to_string(),
            variant.rho.to_string(),
            millions(*parameters as f64),
            millions(*macs as f64),
            variant.top1.map_or_else(|| "-".to_owned(), |top1| format!("{top1:.1} %")),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(Right);
    }
    format!(
        "{table}\n\ntop-1 on ImageNet-1k as published; recipes of many years, so compare within one network\n\
         zoo:NAME?alpha=A&rho=R&seed=1 names one of them in every command\n"
    )
}

fn millions(count: f64) -> String {
    format!("{:.2} M", count / 1e6)
}
