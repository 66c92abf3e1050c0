//! Activations as ONNX spells them at opset 17.

use super::Export;
use super::messages::attribute;
use crate::ops::activation::Activation;
use crate::tensor::Tensor;

impl Export<'_> {
    /// Adds an activation of a tensor.
    pub(super) fn activation(&mut self, name: &str, x: String, activation: Activation) -> String {
        match activation {
            Activation::Identity => x,
            Activation::RELU => self.add(name, "Relu", &[x], Vec::new()),
            Activation::Clamp { lo, hi } => {
                let bounds = [("min", lo), ("max", hi)].map(|(word, bound)| {
                    if bound.is_finite() {
                        self.scalar(&format!("{name}.{word}"), bound)
                    } else {
                        String::new()
                    }
                });
                let [min, max] = bounds;
                let inputs = if max.is_empty() { vec![x, min] } else { vec![x, min, max] };
                self.add(name, "Clip", &inputs, Vec::new())
            }
            Activation::HardSwish => self.add(name, "HardSwish", &[x], Vec::new()),
            Activation::HardSigmoid { alpha, beta } => {
                let attributes = vec![attribute::float("alpha", alpha), attribute::float("beta", beta)];
                self.add(name, "HardSigmoid", &[x], attributes)
            }
            Activation::Sigmoid => self.add(name, "Sigmoid", &[x], Vec::new()),
            Activation::Silu => {
                let gate = self.add(&format!("{name}.gate"), "Sigmoid", std::slice::from_ref(&x), Vec::new());
                self.add(name, "Mul", &[x, gate], Vec::new())
            }
            Activation::Gelu => {
                let inner = self.times(&format!("{name}.inner"), &x, std::f32::consts::FRAC_1_SQRT_2);
                let inner = self.add(&format!("{name}.erf"), "Erf", &[inner], Vec::new());
                self.gaussian(name, &x, inner)
            }
            Activation::GeluTanh => {
                let square = self.add(&format!("{name}.square"), "Mul", &[x.clone(), x.clone()], Vec::new());
                let cube = self.add(&format!("{name}.cube"), "Mul", &[square, x.clone()], Vec::new());
                let small = self.times(&format!("{name}.small"), &cube, 0.044_715);
                let sum = self.add(&format!("{name}.sum"), "Add", &[x.clone(), small], Vec::new());
                let slope = (2.0 / std::f64::consts::PI).sqrt() as f32;
                let inner = self.times(&format!("{name}.inner"), &sum, slope);
                let inner = self.add(&format!("{name}.tanh"), "Tanh", &[inner], Vec::new());
                self.gaussian(name, &x, inner)
            }
            Activation::Tanh => self.add(name, "Tanh", &[x], Vec::new()),
            Activation::LeakyRelu { alpha } => {
                self.add(name, "LeakyRelu", &[x], vec![attribute::float("alpha", alpha)])
            }
            Activation::Elu { alpha } => self.add(name, "Elu", &[x], vec![attribute::float("alpha", alpha)]),
            Activation::Softplus => self.add(name, "Softplus", &[x], Vec::new()),
        }
    }

    /// `x · (1 + inner) / 2`
    fn gaussian(&mut self, name: &str, x: &str, inner: String) -> String {
        let one = self.scalar(&format!("{name}.one"), 1.0);
        let sum = self.add(&format!("{name}.shifted"), "Add", &[inner, one], Vec::new());
        let product = self.add(&format!("{name}.product"), "Mul", &[x.to_owned(), sum], Vec::new());
        self.times(name, &product, 0.5)
    }

    /// `x · factor`
    pub(super) fn times(&mut self, name: &str, x: &str, factor: f32) -> String {
        let factor = self.scalar(&format!("{name}.factor"), factor);
        self.add(name, "Mul", &[x.to_owned(), factor], Vec::new())
    }

    fn scalar(&mut self, name: &str, value: f32) -> String {
        self.tensor(name, &Tensor::from_f32([], &[value]))
    }
}
