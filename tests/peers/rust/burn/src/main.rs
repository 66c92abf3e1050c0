//! burn: the network as Rust that burn-onnx wrote, on the `flex` backend; weights in a file.

use burn::tensor::{Device, Tensor, TensorData};

#[allow(clippy::all, dead_code, unused)]
mod net {
    include!(concat!(env!("OUT_DIR"), "/net.rs"));
}

fn main() {
    driver::drive(|model| {
        let device = Device::default();
        let net = net::Model::from_file(env!("PEERS_WEIGHTS"), &device);
        let shape: [usize; 4] = model.shape.as_slice().try_into().expect("four dimensions");
        move |input| {
            let input = Tensor::<4>::from_data(TensorData::new(input.to_vec(), shape), &device);
            net.forward(input).into_data().try_to_vec::<f32>().expect("floats")
        }
    });
}
