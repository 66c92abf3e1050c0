//! What every peer that is a Rust program does around its engine: the protocol of `peers.py`.
//!
//! `PROGRAM MODEL SHAPE INPUT OUTPUT SECONDS`: the first result of the raw little-endian `f32` in INPUT goes to
//! OUTPUT; then inferences are timed for about SECONDS, and one JSON object is printed. SECONDS of 0 ends the
//! process with the first result.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs};

/// What an engine is loaded with.
pub struct Model {
    /// The model's file.
    pub path: PathBuf,
    /// The input's shape, in the model's own layout.
    pub shape: Vec<usize>,
}

/// Loads a model and measures it; `load` returns the inference, from a flat input to a flat output.
///
/// # Panics
///
/// On wrong arguments and on files that cannot be read or written: the table shows the message.
pub fn drive<F: FnMut(&[f32]) -> Vec<f32>>(load: impl FnOnce(&Model) -> F) {
    let arguments: Vec<String> = env::args().collect();
    let [_, path, shape, input, output, seconds] = &arguments[..] else {
        panic!("usage: PROGRAM MODEL SHAPE INPUT OUTPUT SECONDS");
    };
    let shape = shape.split('x').map(|size| size.parse().expect("SHAPE is 1x3x224x224")).collect();
    let seconds: f64 = seconds.parse().expect("SECONDS is a number");
    let bytes = fs::read(input).expect("INPUT can be read");
    let values: Vec<f32> =
        bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
    drop(bytes);

    let start = Instant::now();
    let mut run = load(&Model { path: path.into(), shape });
    let load_ms = milliseconds(start);
    let start = Instant::now();
    let result = run(&values);
    let first_ms = milliseconds(start);
    let first_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    let rss_kib = peak_rss_kib();
    let bytes: Vec<u8> = result.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(output, bytes).expect("OUTPUT can be written");

    let times =
        if seconds > 0.0 { time(seconds, || drop(black_box(run(black_box(&values))))) } else { vec![] };
    println!(
        "{{\"load_ms\": {load_ms}, \"first_ms\": {first_ms}, \"first_at\": {first_at:.6}, \"rss_kib\": {rss_kib}, \
         \"times_ms\": {times:?}}}"
    );
}

/// Milliseconds of each inference for about `seconds`, at least 5, after 3 that do not count.
fn time(seconds: f64, mut run: impl FnMut()) -> Vec<f64> {
    (0..3).for_each(|_| run());
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || begin.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        run();
        times.push(milliseconds(start));
    }
    times
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// The most memory that this process ever held, where Linux says so; else 0.
pub fn peak_rss_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
