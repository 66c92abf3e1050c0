//! Reading models and tensors, and writing what was made: a file is replaced only by a complete new one.

use crate::driver::{Language, Model};
use crate::dsl;
use crate::error::{Error, Fault, Result};
use crate::onnx::{self, ImportOptions};
use crate::tensor::{DType, Tensor, TensorType};
use crate::zoo;
use bytes::Bytes;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Reads a model and the files that it names: external data, or weights. A file whose name ends in
/// `.mobilec` is a text of the [model language](crate::dsl), any other one is ONNX.
///
/// # Errors
///
/// A file that cannot be read.
pub fn model(path: &Path, mut import: ImportOptions) -> Result<Model> {
    let bytes = Bytes::from(fs::read(path).map_err(|error| Error::io(path, error))?);
    let name = path.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned());
    let folder = path.parent().unwrap_or(Path::new(""));
    if path.extension().is_some_and(|extension| extension == "mobilec") {
        return with_weights(Model { import, ..Model::text(name, bytes, Vec::new()) }, folder);
    }
    for location in onnx::external_files(&name, &bytes)? {
        if let Ok(data) = fs::read(folder.join(&location)) {
            import.external.insert(location, Bytes::from(data));
        }
    }
    Ok(Model::onnx(name, bytes, import))
}

/// Reads the model that a word of the command line names: a file, or `zoo:NAME?alpha=0.35&rho=96`. Options
/// behind `?` overrule those of a text as well: `net.mobilec?alpha=0.5`.
///
/// # Errors
///
/// A file that cannot be read; a name that the zoo does not have; options that are none.
pub fn named(word: &str, import: ImportOptions) -> Result<Model> {
    if word.starts_with("zoo:") {
        return zoo(word, Path::new(""), import);
    }
    let query = word.split_once('?').filter(|_| !Path::new(word).exists());
    let Some((path, query)) = query else { return model(Path::new(word), import) };
    let (path, options) = (Path::new(path), query_options(query)?);
    let mut read = model(path, import)?;
    if read.language == Language::Onnx {
        let message = format!("{word}: options behind ? are for the zoo and for .mobilec files");
        return Err(Error::Usage(message));
    }
    read.language = Language::Text(options);
    with_weights(read, path.parent().unwrap_or(Path::new("")))
}

/// The network of `zoo:NAME?alpha=0.35&rho=96`; the files that its options name are relative to `folder`.
///
/// # Errors
///
/// As [`named`].
pub fn zoo(word: &str, folder: &Path, import: ImportOptions) -> Result<Model> {
    let (name, query) = word.split_once('?').unwrap_or((word, ""));
    let entry = zoo::by_name(name.strip_prefix("zoo:").unwrap_or(name))?;
    let options = query_options(query)?;
    with_weights(Model { import, ..Model::text(word, entry.text, options) }, folder)
}

/// `alpha=0.35&rho=96`
fn query_options(query: &str) -> Result<Vec<(String, String)>> {
    let option = |text: &str| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(Error::Usage(format!("?{query}: {text} is no option such as alpha=0.35"))),
    };
    query.split('&').filter(|text| !text.is_empty()).map(option).collect()
}

/// Reads the file of weights that a text names, relative to `folder`; any other model stays as it is.
///
/// # Errors
///
/// A file that cannot be read.
pub fn with_weights(mut model: Model, folder: &Path) -> Result<Model> {
    let Language::Text(options) = &model.language else { return Ok(model) };
    let text = String::from_utf8_lossy(&model.bytes);
    if let Some(file) = dsl::weights_file(&text, options) {
        let path = folder.join(&file);
        let bytes = fs::read(&path).map_err(|error| Error::io(&path, error))?;
        model.import.external.insert(file, Bytes::from(bytes));
    }
    Ok(model)
}

/// Writes a file by way of a temporary one beside it, so that it is whole or unchanged.
///
/// # Errors
///
/// What the operating system says.
pub fn write(path: &Path, bytes: &[u8]) -> Result {
    // No two writers share a temporary file, not even two threads that write the same one.
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let attempt = || -> std::io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let temporary = path.with_file_name(name);
        let written = fs::File::create(&temporary)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    };
    attempt().map_err(|error| Error::io(path, error))
}

/// Writes a file unless it already has that content, so that its modification time says something.
///
/// # Errors
///
/// What the operating system says.
pub fn write_if_changed(path: &Path, bytes: &[u8]) -> Result {
    match fs::read(path) {
        Ok(old) if old == bytes => Ok(()),
        _ => write(path, bytes),
    }
}

/// Reads a `.npy` file. Double precision becomes single.
///
/// # Errors
///
/// A file that cannot be read, is no `.npy` file, or has an element type that is not supported.
pub fn read_npy(path: &Path) -> Result<Tensor> {
    let bytes = fs::read(path).map_err(|error| Error::io(path, error))?;
    npy(&bytes).map_err(|message| Error::whole(path.display().to_string(), Fault::model(message)))
}

/// Reads a `.npz` archive: its arrays with their names, in the order in which they stand there.
///
/// # Errors
///
/// A file that cannot be read or is no archive; an array that [`read_npy`] would refuse.
#[cfg(feature = "quantize")]
pub fn read_npz(path: &Path) -> Result<Vec<(String, Tensor)>> {
    let bytes = fs::read(path).map_err(|error| Error::io(path, error))?;
    npz(&bytes).map_err(|message| Error::whole(path.display().to_string(), Fault::model(message)))
}

#[cfg(feature = "quantize")]
fn npz(bytes: &[u8]) -> Result<Vec<(String, Tensor)>, String> {
    use std::io::Read as _;
    let wrong = |error: zip::result::ZipError| format!("not a .npz archive: {error}");
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(wrong)?;
    let mut arrays = Vec::new();
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).map_err(wrong)?;
        let name = entry.name().map_err(wrong)?.trim_end_matches(".npy").to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|error| format!("array {name}: {error}"))?;
        arrays.push((name.clone(), npy(&content).map_err(|message| format!("array {name}: {message}"))?));
    }
    Ok(arrays)
}

fn npy(bytes: &[u8]) -> Result<Tensor, String> {
    use npyz::{DType as NpyType, NpyFile, Order, TypeChar};
    let file = NpyFile::new(bytes).map_err(|error| format!("not a .npy file: {error}"))?;
    let shape: Vec<usize> = file.shape().iter().map(|&d| usize::try_from(d).unwrap_or(usize::MAX)).collect();
    if file.order() != Order::C && shape.len() > 1 {
        return Err("Fortran order is not supported; save numpy.ascontiguousarray(x)".into());
    }
    let NpyType::Plain(kind) = file.dtype() else { return Err("a structured array is not supported".into()) };
    fn all<T: npyz::Deserialize>(file: NpyFile<&[u8]>) -> Result<Vec<T>, String> {
        file.into_vec::<T>().map_err(|error| error.to_string())
    }
    fn tensor<const N: usize>(
        dtype: DType,
        shape: Vec<usize>,
        values: Vec<[u8; N]>,
    ) -> Result<Tensor, String> {
        Tensor::new(TensorType::new(dtype, shape), Bytes::from(values.concat()))
            .ok_or_else(|| "the file is shorter than its shape says".into())
    }
    macro_rules! read {
        ($T:ty, $dtype:expr) => {
            tensor($dtype, shape, all::<$T>(file)?.iter().map(|v| v.to_le_bytes()).collect())
        };
    }
    match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 4) => read!(f32, DType::F32),
        (TypeChar::Float, 8) => {
            tensor(DType::F32, shape, all::<f64>(file)?.iter().map(|&v| (v as f32).to_le_bytes()).collect())
        }
        (TypeChar::Int, 1) => read!(i8, DType::I8),
        (TypeChar::Uint, 1) => read!(u8, DType::U8),
        (TypeChar::Int, 4) => read!(i32, DType::I32),
        (TypeChar::Int, 8) => read!(i64, DType::I64),
        (TypeChar::Bool, _) => {
            tensor(DType::Bool, shape, all::<bool>(file)?.iter().map(|&v| [u8::from(v)]).collect())
        }
        (kind, size) => Err(format!("element type {kind:?}{size} is not supported")),
    }
}

/// A tensor as a `.npy` file.
///
/// # Errors
///
/// What the encoder says; it writes to memory.
pub fn npy_bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    use npyz::WriterBuilder as _;
    let shape: Vec<u64> = tensor.ty.shape.iter().map(|&d| d as u64).collect();
    let mut out = Vec::new();
    macro_rules! write_as {
        ($T:ty, $values:expr) => {{
            let mut attempt = || -> std::io::Result<()> {
                let mut writer = npyz::WriteOptions::<$T>::new()
                    .default_dtype()
                    .shape(&shape)
                    .writer(&mut out)
                    .begin_nd()?;
                writer.extend($values)?;
                writer.finish()
            };
            attempt().map_err(|error| Error::io("tensor.npy", error))?
        }};
    }
    let ints = || tensor.to_i64().into_iter();
    match tensor.ty.dtype {
        DType::F32 => write_as!(f32, tensor.to_f32()),
        DType::I8 => write_as!(i8, ints().map(|v| v as i8)),
        DType::U8 => write_as!(u8, ints().map(|v| v as u8)),
        DType::I32 => write_as!(i32, ints().map(|v| v as i32)),
        DType::I64 => write_as!(i64, ints()),
        DType::Bool => write_as!(bool, ints().map(|v| v != 0)),
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn npy_keeps_shape_type_and_values() {
        let tensor = Tensor::from_f32([2, 3], &[1.0, -2.5, 3.0, 0.0, 5.0, 6.0]);
        assert_eq!(npy(&npy_bytes(&tensor).unwrap()).unwrap(), tensor);
        let scalar = Tensor::from_i64(&[7]).reshaped([]).unwrap();
        assert_eq!(npy(&npy_bytes(&scalar).unwrap()).unwrap(), scalar);
    }

    #[test]
    fn a_file_that_is_no_npy_is_an_error() {
        assert!(npy(b"PK\x03\x04").is_err());
        assert!(npy(b"").is_err());
    }
}
