//! `mobilec export`

use clap::Args;
use mobilec::driver::{self, Language};
use mobilec::error::Fault;
use mobilec::onnx::ImportOptions;
use mobilec::{Error, Result, files, weights};
use std::path::PathBuf;

/// Writes a network as an ONNX file, for Netron or ONNX Runtime; or its weights as a safetensors file.
#[derive(Args)]
pub struct Export {
    /// A .mobilec file, or zoo:NAME?alpha=0.35&rho=96&layout=nchw&seed=1
    model: String,
    /// The file to write; one that ends in .safetensors gets the weights, by the names that `weights` expects
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
        let weights = self.out.extension().is_some_and(|extension| extension == "safetensors");
        let bytes = if weights { weights::to_safetensors(&network) } else { network.to_onnx() };
        let bytes = bytes.map_err(refuse)?;
        files::write(&self.out, &bytes)?;
        eprintln!("wrote {} ({} bytes)", self.out.display(), bytes.len());
        Ok(())
    }
}
