//! rten, one thread.

use rten::{Model, RunOptions, ThreadPool};
use rten_tensor::prelude::*;
use rten_tensor::{Tensor, TensorView};
use std::sync::Arc;

fn main() {
    driver::drive(|model| {
        let net = Model::load_file(&model.path).unwrap_or_else(|error| panic!("{error}"));
        let shape = model.shape.clone();
        let pool = Arc::new(ThreadPool::with_num_threads(1));
        move |input| {
            let input = TensorView::from_data(&shape[..], input);
            let options = RunOptions::default().with_thread_pool(Some(pool.clone()));
            let output = net.run_one(input.into(), Some(options)).unwrap_or_else(|error| panic!("{error}"));
            let output: Tensor<f32> = output.try_into().expect("floats");
            output.to_vec()
        }
    });
}
