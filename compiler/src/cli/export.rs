//! `mobilec export`

use clap::Args;
use mobilec::driver::{self, Language};
use mobilec::error::Fault;
use mobilec::onnx::ImportOptions;
use mobilec::{Error, Result, files};
use std::path::PathBuf;

/// Writes a network as an ONNX file, for Netron or ONNX Runtime.
#[derive(Args)]
pub struct Export {
    /// A .mobilec file, or zoo:NAME?alpha=0.35&rho=96&layout=nchw&seed=1
    model: String,
    /// The file to write
    #[arg(long, value_name = "M.onnx")]
    out: PathBuf,
}

impl Export {
    /// Builds and writes.
    pub fn execute(&self) -> Result {
        let model = files::named(&self.model, ImportOptions::default())?;
        let Language::Text(options) = &model.language else {
            return Err(Error::Usage(format!("{} is an ONNX file already", self.model)));
        };
        let (network, notes) = driver::network(&model, options)?;
        for note in notes {
            eprintln!("note: {note}");
        }
        let refuse = |fault: Fault| Error::whole(format!("{} cannot be exported", model.name), fault);
        let bytes = network.to_onnx().map_err(refuse)?;
        files::write(&self.out, &bytes)?;
        eprintln!("wrote {} ({} bytes)", self.out.display(), bytes.len());
        Ok(())
    }
}
