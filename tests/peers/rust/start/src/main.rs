//! mobilec as a user's program that is to be small, weights embedded: the picture is read to where the network wants it,
//! and no number is printed that is not an integer. The protocol is that of `driver`; the model's path and its shape are
//! not looked at. `--weights` prints how many bytes of the program are weights.

use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

mobilec_runtime::include_model!(net);

const WEIGHT_BYTES: usize = include_bytes!(concat!(env!("OUT_DIR"), "/net.weights.bin")).len();

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let [_, _, _, input, output, _] = &arguments[..] else {
        return println!("{WEIGHT_BYTES}");
    };
    let mut arena = net::Arena::boxed();
    let bytes = fs::read(input).expect("INPUT can be read");
    for (value, bytes) in net::input_mut(&mut arena).iter_mut().zip(bytes.chunks_exact(4)) {
        *value = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    drop(bytes);
    let result = net::run_in_place(&mut arena);
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros, rss_kib) = (at.as_secs(), at.subsec_micros(), driver::peak_rss_kib());
    let bytes: Vec<u8> = result.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(output, bytes).expect("OUTPUT can be written");
    println!(
        "{{\"load_ms\": 0, \"first_at\": {seconds}.{micros:06}, \"rss_kib\": {rss_kib}, \"times_ms\": []}}"
    );
}
