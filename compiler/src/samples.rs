//! Samples for a network: pictures, `.npy` tensors, `.npz` archives, and folders of them.
//!
//! A file may hold several samples, stacked along a leading dimension.

use crate::error::{Error, Fault, Result};
use crate::files;
use crate::pictures::{self, Normalization};
use crate::tensor::{Tensor, TensorType};
use std::path::{Path, PathBuf};

/// One set of inputs and where it came from.
#[derive(Clone, Debug)]
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

/// An input of a network.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Its name in the model.
    pub name: &'a str,
    /// Its type there.
    pub ty: &'a TensorType,
}

/// What is read: suffixes of pictures, and of tensors.
const PICTURES: [&str; 4] = ["png", "jpg", "jpeg", "bmp"];
const TENSORS: [&str; 2] = ["npy", "npz"];

fn has_suffix(path: &Path, known: &[&str]) -> bool {
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_ascii_lowercase());
    suffix.is_some_and(|suffix| known.contains(&suffix.as_str()))
}

/// Whether a file is taken for a picture: anything but a tensor.
pub fn is_picture(path: &Path) -> bool {
    !has_suffix(path, &TENSORS)
}

/// A file itself; of a folder the pictures and tensors in it, by name.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|error| Error::io(path, error))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|file| has_suffix(file, &PICTURES) || has_suffix(file, &TENSORS))
        .collect();
    files.sort();
    Ok(files)
}

/// The tensors of one file for an input. `normalize` is for pictures, see [`Normalization::parse`]; without
/// one, the usual for their channels is taken.
///
/// # Errors
///
/// A file that cannot be read, or holds something else than the input takes.
pub fn of_file(path: &Path, input: Input<'_>, normalize: Option<&str>) -> Result<Vec<Tensor>> {
    let here = |fault| Error::whole(path.display().to_string(), fault);
    if is_picture(path) {
        let how = normalize.unwrap_or(pictures::default_normalization(input.ty));
        return Ok(vec![pictures::load(path, input.ty, &Normalization::parse(how)?)?]);
    }
    if !has_suffix(path, &["npz"]) {
        return split(files::read_npy(path)?, input).map_err(here);
    }
    let mut arrays = files::read_npz(path)?;
    if arrays.iter().any(|(name, _)| name == input.name) {
        arrays.retain(|(name, _)| name == input.name);
    }
    let parts = arrays.into_iter().map(|(_, array)| split(array, input));
    let parts: Result<Vec<Vec<Tensor>>, Fault> = parts.collect();
    Ok(parts.map_err(here)?.concat())
}

/// The samples of a file or a folder. For a network with several inputs they come from `.npz` archives,
/// whose arrays are called as the inputs are.
///
/// # Errors
///
/// As [`of_file`]; nothing at all; archives in which an input is missing or has fewer samples than another.
pub fn of_path(path: &Path, inputs: &[Input<'_>], normalize: Option<&str>) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for file in files_of(path)? {
        let name = file.display().to_string();
        let columns: Vec<Vec<Tensor>> = match inputs {
            [input] => vec![of_file(&file, *input, normalize)?],
            _ => by_name(&file, inputs)?,
        };
        let count = columns.first().map_or(0, Vec::len);
        if columns.iter().any(|column| column.len() != count) {
            return Err(Error::whole(name, Fault::model("not all inputs have as many samples")));
        }
        for at in 0..count {
            let tensors = columns.iter().map(|column| column[at].clone()).collect();
            samples.push(Sample { name: name.clone(), tensors });
        }
    }
    if samples.is_empty() {
        let fault =
            Fault::model("there is no picture and no tensor").help("PNG, JPEG, BMP, .npy and .npz are read");
        return Err(Error::whole(path.display().to_string(), fault));
    }
    Ok(samples)
}

/// For each input the array of its name.
fn by_name(file: &Path, inputs: &[Input<'_>]) -> Result<Vec<Vec<Tensor>>> {
    let here = |fault| Error::whole(file.display().to_string(), fault);
    let names = inputs.iter().map(|input| input.name).collect::<Vec<_>>().join(", ");
    if !has_suffix(file, &["npz"]) {
        let message = format!("the model has the inputs {names}; one .npz archive holds samples of all");
        return Err(here(Fault::model(message)));
    }
    let arrays = files::read_npz(file)?;
    let of = |input: &Input<'_>| {
        let found = arrays.iter().find(|(name, _)| name == input.name);
        let (_, array) =
            found.ok_or_else(|| here(Fault::model(format!("no array {} is there", input.name))))?;
        split(array.clone(), *input).map_err(here)
    };
    inputs.iter().map(of).collect()
}

/// A tensor of the input's type, or several samples of it stacked along a leading dimension.
fn split(tensor: Tensor, input: Input<'_>) -> Result<Vec<Tensor>, Fault> {
    let (given, want) = (tensor.ty.clone(), input.ty);
    let wrong = || Fault::model(format!("input {} is {want}, the file holds {given}", input.name));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacked_samples_are_taken_apart() {
        let ty = TensorType::f32([1, 2]);
        let input = Input { name: "x", ty: &ty };
        let stacked = Tensor::from_f32([3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let parts = split(stacked, input).unwrap();
        assert_eq!(
            parts.iter().map(Tensor::to_f32).collect::<Vec<_>>(),
            [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
        );
        let error = split(Tensor::from_f32([2, 3], &[0.0; 6]), input).unwrap_err();
        assert_eq!(error.message, "input x is f32[1,2], the file holds f32[2,3]");
    }
}
