//! Pictures as tensors: decoding, resizing, cropping, normalising.

use crate::error::{Error, Fault, Result};
use crate::tensor::{DType, Tensor, TensorType};
use image::imageops::FilterType;
use image::{DynamicImage, GenericImageView as _};
use std::path::Path;

/// `(pixel / 255 − mean) / deviation`, per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalization {
    /// As it was asked for, for people.
    pub name: String,
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

impl Normalization {
    /// `imagenet`, `tf` (−1 to 1), `unit` (0 to 1), `none` (0 to 255), or `MEAN/DEVIATION` with one number or
    /// one a channel each, on the scale of 0 to 1: `0.5/0.5`, `0.485,0.456,0.406/0.229,0.224,0.225`.
    ///
    /// # Errors
    ///
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let (mean, deviation) = match text {
            "imagenet" => (vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]),
            "tf" => (vec![0.5], vec![0.5]),
            "unit" => (vec![0.0], vec![1.0]),
            "none" => (vec![0.0], vec![1.0 / 255.0]),
            _ => numbers(text).ok_or_else(|| {
                Error::Usage(format!(
                    "--normalize {text}: it takes imagenet, tf, unit, none or MEAN/DEVIATION"
                ))
            })?,
        };
        Ok(Self { name: text.to_owned(), mean, deviation })
    }

    fn apply(&self, value: u8, channel: usize) -> f32 {
        let pick = |values: &[f32]| values.get(channel).or(values.last()).copied().unwrap_or(0.0);
        (f32::from(value) / 255.0 - pick(&self.mean)) / pick(&self.deviation)
    }
}

fn numbers(text: &str) -> Option<(Vec<f32>, Vec<f32>)> {
    let list = |text: &str| text.split(',').map(|n| n.trim().parse().ok()).collect::<Option<Vec<f32>>>();
    let (mean, deviation) = text.split_once('/')?;
    let (mean, deviation) = (list(mean)?, list(deviation)?);
    deviation.iter().all(|d| *d != 0.0 && d.is_finite()).then_some((mean, deviation))
}

/// Where height, width and channels stand in a model's picture input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Geometry {
    height: usize,
    width: usize,
    channels: usize,
    channels_last: bool,
}

fn geometry(ty: &TensorType) -> Result<Geometry> {
    let picture =
        |height, width, channels, channels_last| Geometry { height, width, channels, channels_last };
    match ty.shape[..] {
        [1, channels @ (1 | 3 | 4), height, width] => Ok(picture(height, width, channels, false)),
        [1, height, width, channels @ (1 | 3 | 4)] => Ok(picture(height, width, channels, true)),
        [1, height, width] | [height, width] => Ok(picture(height, width, 1, true)),
        _ => Err(Error::whole(
            "a picture cannot be the input",
            Fault::model(format!("the model's input is {ty}")).help("give the tensor as a .npy file"),
        )),
    }
}

/// A picture as a model's input: the shorter side is resized to the input's, the middle is cut out.
///
/// `u8` inputs get plain pixels, `i8` inputs pixels − 128, `f32` inputs normalised ones.
///
/// # Errors
///
/// A file that cannot be read or decoded; an input that is no picture.
pub fn load(path: &Path, ty: &TensorType, normalization: &Normalization) -> Result<Tensor> {
    let geometry = geometry(ty)?;
    let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
    let picture = image::load_from_memory(&bytes).map_err(|error| {
        Error::whole(
            path.display().to_string(),
            Fault::model(format!("not a picture: {error}")).help("PNG, JPEG, BMP and .npy are read"),
        )
    })?;
    let picture = fit(picture, geometry.width, geometry.height);
    let pixels = match geometry.channels {
        1 => picture.to_luma8().into_raw(),
        3 => picture.to_rgb8().into_raw(),
        _ => picture.to_rgba8().into_raw(),
    };
    Ok(tensor(&pixels, geometry, ty, normalization))
}

fn fit(picture: DynamicImage, width: usize, height: usize) -> DynamicImage {
    let (width, height) =
        (u32::try_from(width).unwrap_or(u32::MAX), u32::try_from(height).unwrap_or(u32::MAX));
    if picture.dimensions() == (width, height) {
        return picture;
    }
    picture.resize_to_fill(width, height, FilterType::Triangle)
}

fn tensor(pixels: &[u8], geometry: Geometry, ty: &TensorType, normalization: &Normalization) -> Tensor {
    let Geometry { height, width, channels, channels_last } = geometry;
    let at = |index: usize| {
        if channels_last {
            (index, index % channels)
        } else {
            let (channel, position) = (index / (height * width), index % (height * width));
            (position * channels + channel, channel)
        }
    };
    let values = (0..ty.elements()).map(|index| {
        let (position, channel) = at(index);
        (pixels.get(position).copied().unwrap_or(0), channel)
    });
    let bytes: Vec<u8> = match ty.dtype {
        DType::F32 => values.flat_map(|(v, c)| normalization.apply(v, c).to_le_bytes()).collect(),
        DType::U8 | DType::Bool => values.map(|(v, _)| v).collect(),
        DType::I8 => values.map(|(v, _)| v ^ 0x80).collect(),
        DType::I32 => values.flat_map(|(v, _)| i32::from(v).to_le_bytes()).collect(),
        DType::I64 => values.flat_map(|(v, _)| i64::from(v).to_le_bytes()).collect(),
    };
    let empty = || Tensor::from_f32(ty.shape.clone(), &[]);
    Tensor::new(ty.clone(), bytes.into()).unwrap_or_else(empty)
}

/// What is used when nothing is asked for: `imagenet` for three channels, `unit` for others.
pub fn default_normalization(ty: &TensorType) -> &'static str {
    match geometry(ty) {
        Ok(Geometry { channels: 3, .. }) => "imagenet",
        _ => "unit",
    }
}
