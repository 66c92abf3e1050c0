//! From a camera's pixels to a network's input.

/// `(pixel / 255 − mean) / std` for each of `C` channels: how photographs are normalised for training.
///
/// Pixels are bytes, rows from top to bottom, the channels of a pixel side by side: red, green, blue, or
/// one of grey. The arithmetic is that of torchvision's `ToTensor` and `Normalize`, to the bit.
///
/// ```
/// use mobilec_runtime::Normalize;
///
/// let pixels = [255, 0, 51, 0, 0, 0]; // two pixels
/// let mut input = [0.0; 6];
/// Normalize { mean: [0.0, 0.5, 0.0], std: [1.0, 0.5, 1.0] }.nhwc(&pixels, &mut input);
/// assert_eq!(input, [1.0, -1.0, 0.2, 0.0, -1.0, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalize<const C: usize> {
    /// Subtracted, on the scale of 0 to 1.
    pub mean: [f32; C],
    /// Divided by, on the scale of 0 to 1.
    pub std: [f32; C],
}

impl Normalize<3> {
    /// Mean and deviation of the photographs of ImageNet: what torchvision's networks are trained with.
    pub const IMAGENET: Self = Self { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
}

impl<const C: usize> Normalize<C> {
    /// From 0 to 1.
    pub const UNIT: Self = Self { mean: [0.0; C], std: [1.0; C] };

    /// From −1 to 1: what Keras' MobileNets are trained with.
    pub const SIGNED: Self = Self { mean: [0.5; C], std: [0.5; C] };

    /// Into channels side by side, as the pixels are: `output[y, x, c]`.
    ///
    /// `N` is height × width × `C`; a number that `C` does not divide does not compile.
    pub fn nhwc<const N: usize>(&self, pixels: &[u8; N], output: &mut [f32; N]) {
        const { assert!(C > 0 && N.is_multiple_of(C), "pixels have C channels") };
        for (output, pixel) in output.chunks_exact_mut(C).zip(pixels.chunks_exact(C)) {
            for ((y, &x), channel) in output.iter_mut().zip(pixel).zip(self.channels()) {
                *y = value(x, channel);
            }
        }
    }

    /// Into one plane behind the other: `output[c, y, x]`.
    ///
    /// `N` is height × width × `C`; a number that `C` does not divide does not compile.
    pub fn nchw<const N: usize>(&self, pixels: &[u8; N], output: &mut [f32; N]) {
        const { assert!(C > 0 && N.is_multiple_of(C), "pixels have C channels") };
        let planes = output.chunks_exact_mut((N / C).max(1));
        for (first, (plane, channel)) in planes.zip(self.channels()).enumerate() {
            let values = pixels.iter().skip(first).step_by(C);
            plane.iter_mut().zip(values).for_each(|(y, &x)| *y = value(x, channel));
        }
    }

    fn channels(&self) -> impl Iterator<Item = (f32, f32)> {
        self.mean.into_iter().zip(self.std)
    }
}

#[inline(always)]
fn value(pixel: u8, (mean, std): (f32, f32)) -> f32 {
    (f32::from(pixel) / 255.0 - mean) / std
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows of three pixels.
    const PIXELS: [u8; 18] = [0, 1, 2, 10, 11, 12, 20, 21, 22, 100, 101, 102, 200, 201, 202, 253, 254, 255];

    fn expected(channel: usize, position: usize) -> f32 {
        let Normalize { mean, std } = Normalize::IMAGENET;
        (f32::from(PIXELS[position * 3 + channel]) / 255.0 - mean[channel]) / std[channel]
    }

    #[test]
    fn channels_side_by_side() {
        let mut output = [0.0; 18];
        Normalize::IMAGENET.nhwc(&PIXELS, &mut output);
        assert_eq!(output, core::array::from_fn(|i| expected(i % 3, i / 3)));
    }

    #[test]
    fn planes() {
        let mut output = [0.0; 18];
        Normalize::IMAGENET.nchw(&PIXELS, &mut output);
        assert_eq!(output, core::array::from_fn(|i| expected(i / 6, i % 6)));
    }

    #[test]
    fn grey_from_minus_one_to_one() {
        let mut output = [0.0; 3];
        Normalize::<1>::SIGNED.nchw(&[0, 255, 51], &mut output);
        assert_eq!(output, [-1.0, 1.0, -0.6]);
        Normalize::<1>::UNIT.nhwc(&[0, 255, 51], &mut output);
        assert_eq!(output, [0.0, 1.0, 0.2]);
    }

    #[test]
    fn nothing_to_do() {
        Normalize::IMAGENET.nchw(&[], &mut []);
        Normalize::IMAGENET.nhwc(&[], &mut []);
    }
}
