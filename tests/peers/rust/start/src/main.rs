//! mobilec as a user's program, weights embedded. The model's path is not looked at; `--weights` prints how many
//! bytes of the program are weights.

mobilec_runtime::include_model!(net);

const WEIGHT_BYTES: usize = include_bytes!(concat!(env!("OUT_DIR"), "/net.weights.bin")).len();

fn main() {
    if std::env::args().nth(1).as_deref() == Some("--weights") {
        println!("{WEIGHT_BYTES}");
        return;
    }
    driver::drive(|_| {
        let mut arena = net::Arena::boxed();
        move |input| net::run(&mut arena, input.try_into().expect("the input has the shape")).to_vec()
    });
}
