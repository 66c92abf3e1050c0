//! `--input`: pictures, tensors and folders of them, as bytes for a program.

use super::model::pair;
use clap::Args;
use mobilec::plan::Port;
use mobilec::samples::{self, Input, Sample};
use mobilec::tensor::{DType, Tensor, TensorType};
use mobilec::{Error, Result, pictures};
use std::path::{Path, PathBuf};

/// What the network is run on.
#[derive(Args)]
pub struct InputArguments {
    /// A picture, a .npy or .npz file of tensors, or a folder of them; NAME=FILE where the model has several inputs
    #[arg(long, value_name = "F")]
    input: Vec<String>,
    /// For pictures: imagenet, tf, unit, none, or MEAN/DEVIATION with a number for each channel
    #[arg(long, value_name = "HOW")]
    normalize: Option<String>,
}

impl InputArguments {
    /// Whether anything was given.
    pub fn is_given(&self) -> bool {
        !self.input.is_empty()
    }

    /// Reads all samples.
    pub fn load(&self, ports: &[Port]) -> Result<Vec<Sample>> {
        match ports {
            [port] => self.load_single(port),
            _ => self.load_named(ports).map(|sample| vec![sample]),
        }
    }

    /// Reads all samples, or makes one of seeded random numbers where none were given.
    pub fn load_or_random(&self, ports: &[Port]) -> Result<Vec<Sample>> {
        if self.is_given() {
            return self.load(ports);
        }
        eprintln!("note: no --input: seeded random numbers are used");
        let tensors = ports.iter().enumerate().map(|(i, port)| random(port, i as u64)).collect();
        Ok(vec![Sample { name: "random".into(), tensors }])
    }

    fn load_single(&self, port: &Port) -> Result<Vec<Sample>> {
        let mut samples = Vec::new();
        let mut noted = false;
        for text in &self.input {
            let named = text.strip_prefix(&port.name).and_then(|rest| rest.strip_prefix('='));
            let path = PathBuf::from(named.unwrap_or(text));
            for file in samples::files_of(&path)? {
                noted = noted || self.note(&file, port);
                for tensor in self.tensors(&file, port)? {
                    samples.push(Sample { name: file.display().to_string(), tensors: vec![tensor] });
                }
            }
        }
        if samples.is_empty() {
            return Err(Error::Usage("--input is missing: a picture, a .npy tensor, or a folder".into()));
        }
        Ok(samples)
    }

    fn load_named(&self, ports: &[Port]) -> Result<Sample> {
        let given: Vec<(String, String)> =
            self.input.iter().map(|text| pair(text, "--input", "NAME=FILE")).collect::<Result<_>>()?;
        if let Some((name, _)) = given.iter().find(|(name, _)| ports.iter().all(|port| port.name != *name)) {
            let known: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
            return Err(Error::Usage(format!("the model has no input {name}; it has {}", known.join(", "))));
        }
        let tensors = ports
            .iter()
            .map(|port| {
                let file = given.iter().find(|(name, _)| *name == port.name).map(|(_, file)| file);
                let file = file.ok_or_else(|| {
                    Error::Usage(format!("--input {}=FILE is missing: it is {}", port.name, port.ty))
                })?;
                self.note(Path::new(file), port);
                let mut tensors = self.tensors(Path::new(file), port)?;
                tensors.truncate(1);
                tensors.pop().ok_or_else(|| Error::Usage(format!("{file} is empty")))
            })
            .collect::<Result<_>>()?;
        let name = given.iter().map(|(_, file)| file.as_str()).collect::<Vec<_>>().join(", ");
        Ok(Sample { name, tensors })
    }

    /// Says how a picture is normalised where nothing was said about it; whether there was something to say.
    fn note(&self, path: &Path, port: &Port) -> bool {
        self.normalize.is_none() && note_normalization(path, &port.ty)
    }

    /// One tensor, or several where a file holds a batch of them.
    fn tensors(&self, path: &Path, port: &Port) -> Result<Vec<Tensor>> {
        samples::of_file(path, Input { name: &port.name, ty: &port.ty }, self.normalize.as_deref())
    }
}

/// Says how a picture is normalised by default; whether it is one that is.
pub fn note_normalization(path: &Path, ty: &TensorType) -> bool {
    let is_normalized = samples::is_picture(path) && ty.dtype.is_float();
    if is_normalized {
        let how = pictures::default_normalization(ty);
        eprintln!("note: pixels are normalised by {how}; --normalize says otherwise");
    }
    is_normalized
}

/// Numbers between −1 and 1 (0 and 255 for bytes, 0 and 1 for `bool`, zeros for wider integers) from a linear congruential generator.
fn random(port: &Port, seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as u32 // 24 bits
    };
    let size = port.ty.dtype.bytes();
    let bytes: Vec<u8> = (0..port.ty.elements())
        .flat_map(|_| {
            let bits = next();
            let value = bits as f32 / 8_388_608.0 - 1.0;
            let bytes = value.to_le_bytes().to_vec();
            match port.ty.dtype {
                DType::F32 => bytes,
                DType::U8 | DType::I8 => vec![(bits >> 16) as u8],
                DType::Bool => vec![(bits >> 16) as u8 & 1],
                DType::I32 | DType::I64 => vec![0; size],
            }
        })
        .collect();
    Tensor::new(port.ty.clone(), bytes.into()).unwrap_or_else(|| Tensor::from_f32(port.ty.shape.clone(), &[]))
}
