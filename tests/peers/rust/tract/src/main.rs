//! tract, one thread.

use tract_onnx::prelude::*;

fn main() {
    driver::drive(|model| {
        let shape = model.shape.clone();
        let plan = tract_onnx::onnx()
            .model_for_path(&model.path)
            .and_then(|net| net.with_input_fact(0, f32::fact(&shape).into()))
            .and_then(|net| net.into_optimized())
            .and_then(|net| net.into_runnable())
            .unwrap_or_else(|error| panic!("{error:#}"));
        move |input| {
            let input = Tensor::from_shape(&shape, input).expect("the input has the shape");
            let outputs = plan.run(tvec!(input.into())).unwrap_or_else(|error| panic!("{error:#}"));
            let output = outputs[0].to_plain_array_view::<f32>().expect("floats");
            output.iter().copied().collect()
        }
    });
}
