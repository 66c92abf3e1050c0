//! `--input`: pictures, tensors and folders of them, as bytes for a program.

use super::model::pair;
use super::pictures::{self, Normalization};
use clap::Args;
use mobilec::error::Fault;
use mobilec::plan::Port;
use mobilec::tensor::{DType, Tensor};
use mobilec::{Error, Result, files};
use std::path::{Path, PathBuf};

/// What the network is run on.
#[derive(Args)]
pub struct InputArguments {
    /// A picture, a .npy tensor, or a folder of either; NAME=FILE where the model has several inputs
    #[arg(long, value_name = "F")]
    input: Vec<String>,
    /// For pictures: imagenet, tf, unit, none, or MEAN/DEVIATION with a number for each channel
    #[arg(long, value_name = "HOW")]
    normalize: Option<String>,
}

/// One set of inputs and where it came from.
pub struct Sample {
    /// The file, or several.
    pub name: String,
    /// One tensor an input, in the model's order.
    pub tensors: Vec<Tensor>,
}

impl Sample {
    /// All inputs' bytes in order.
    pub fn bytes(&self) -> Vec<u8> {
        self.tensors.iter().flat_map(|tensor| tensor.bytes().to_vec()).collect()
    }
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
        for text in &self.input {
            let named = text.strip_prefix(&port.name).and_then(|rest| rest.strip_prefix('='));
            let path = PathBuf::from(named.unwrap_or(text));
            for file in files_of(&path)? {
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
                let mut tensors = self.tensors(Path::new(file), port)?;
                tensors.truncate(1);
                tensors.pop().ok_or_else(|| Error::Usage(format!("{file} is empty")))
            })
            .collect::<Result<_>>()?;
        let name = given.iter().map(|(_, file)| file.as_str()).collect::<Vec<_>>().join(", ");
        Ok(Sample { name, tensors })
    }

    /// One tensor, or several where a `.npy` file holds a batch of them.
    fn tensors(&self, path: &Path, port: &Port) -> Result<Vec<Tensor>> {
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy")) {
            return split(files::read_npy(path)?, port)
                .map_err(|fault| Error::whole(path.display().to_string(), fault));
        }
        let how = self.normalize.as_deref().unwrap_or(pictures::default_normalization(&port.ty));
        let normalization = Normalization::parse(how)?;
        if port.ty.dtype.is_float() && self.normalize.is_none() {
            eprintln!("note: pixels are normalised by {how}; --normalize says otherwise");
        }
        Ok(vec![pictures::load(path, &port.ty, &normalization)?])
    }
}

/// A file itself; of a folder the pictures and tensors in it, by name.
fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let known = ["png", "jpg", "jpeg", "bmp", "npy"];
    let entries = std::fs::read_dir(path).map_err(|error| Error::io(path, error))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|file| {
            let extension = file.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
            extension.is_some_and(|e| known.contains(&e.as_str()))
        })
        .collect();
    files.sort();
    Ok(files)
}

/// A tensor of the input's type, or several samples of it stacked along a leading dimension.
fn split(tensor: Tensor, port: &Port) -> Result<Vec<Tensor>, Fault> {
    let (given, want) = (tensor.ty.clone(), &port.ty);
    let wrong = || Fault::model(format!("input {} is {want}, the file holds {given}", port.name));
    if given.dtype != want.dtype || want.elements() == 0 {
        return Err(wrong());
    }
    let item = want.shape.strip_prefix(&[1]).unwrap_or(&want.shape);
    let stacked = given.shape.len() > item.len() && given.shape.ends_with(item);
    if given.shape != want.shape && !stacked {
        return Err(wrong());
    }
    let bytes = tensor.bytes();
    let samples = bytes.len() / want.bytes();
    (0..samples)
        .map(|i| {
            Tensor::new(want.clone(), bytes.slice(i * want.bytes()..(i + 1) * want.bytes())).ok_or_else(wrong)
        })
        .collect()
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
