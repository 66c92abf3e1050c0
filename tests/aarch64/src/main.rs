//! Classifies the pictures of tests/digits on a 64-bit Arm with an operating system.

#[path = "../../device/classify.rs"]
mod classify;

fn main() {
    let mut text = String::new();
    classify::report(&mut text, |inference| inference()).expect("a String takes all text");
    print!("{text}");
}
