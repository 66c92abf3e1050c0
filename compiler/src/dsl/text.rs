//! Models as text: the same tokens, and errors with lines and columns.

use super::{Description, describe_tokens};
use crate::error::{Error, Fault, Problem};
use proc_macro2::TokenStream;

/// Reads and builds a network from text; `name` is what messages call it, such as the file's name, and
/// `overrides` are options from outside, by name.
///
/// # Errors
///
/// Everything that is wrong, each with its line.
pub fn describe(name: &str, text: &str, overrides: &[(String, String)]) -> Result<Description, Error> {
    let tokens: TokenStream = tokens(text).map_err(|error| listed(name, text, vec![error]))?;
    describe_tokens(tokens, overrides).map_err(|errors| listed(name, text, errors))
}

/// Brackets within brackets, counted before anything is read: comments may count as well.
const MAX_DEPTH: usize = 256;

pub(super) fn tokens(text: &str) -> Result<TokenStream, syn::Error> {
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            let message = format!("brackets more than {MAX_DEPTH} deep");
            return Err(syn::Error::new(proc_macro2::Span::call_site(), message));
        }
    }
    text.parse().map_err(syn::Error::from)
}

fn listed(name: &str, text: &str, errors: Vec<syn::Error>) -> Error {
    let errors: Vec<syn::Error> = errors.into_iter().flatten().collect();
    let summary = match errors.len() {
        1 => format!("{name} cannot be read"),
        count => format!("{name} cannot be read: {count} problems"),
    };
    let problem = |error: &syn::Error| Problem::whole(Fault::model(placed(text, error)));
    Error::problems(summary, errors.iter().map(problem).collect())
}

/// `4:24: message`, the line, and what is meant in it.
fn placed(text: &str, error: &syn::Error) -> String {
    let (start, end) = (error.span().start(), error.span().end());
    let Some(line) = text.lines().nth(start.line.wrapping_sub(1)).filter(|_| start != end) else {
        return error.to_string();
    };
    let stop = if end.line == start.line { end.column } else { line.chars().count() };
    let marks = "^".repeat(stop.saturating_sub(start.column).max(1));
    let indent: String =
        line.chars().take(start.column).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    format!("{}:{}: {error}\n    {line}\n    {indent}{marks}", start.line, start.column + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The message for a body of layers, or for a whole text.
    fn refused(text: &str) -> String {
        let text = if text.contains("mod ") || text.starts_with("fn") {
            text.into()
        } else {
            format!("mod net(input = [8, 8, 4]) {{ {text} }}")
        };
        describe("net", &text, &[]).err().map(|error| error.to_string()).unwrap_or_default()
    }

    fn check(text: &str, told: &str) {
        let message = refused(text);
        assert!(!message.is_empty() && message.contains(told), "{told:?} of {text:?}: {message:?}");
    }

    #[test]
    fn an_error_shows_its_line_and_what_is_meant_there() {
        let text = "/// Ünïcode.\nmod net(input = [8, 8, 4]) {\n    conv 3x3 c8 g3;\n}";
        assert_eq!(
            refused(text),
            "net cannot be read\n  × 3:17: 4 input and 8 output channels cannot be divided into 3 groups\n    \
             \u{20}   conv 3x3 c8 g3;\n                    ^^"
        );
    }

    #[test]
    #[rustfmt::skip]
    fn what_makes_no_sense_is_told() {
        check("conv c8;",                         "`conv` needs `k`");
        check("conv 3x3 3x3 c8;",                 "`k` was given before");
        check("conv 3x3 c8 t6;",                  "`conv` has no `t`");
        check("conv 3x3 c=relu;",                 "`c` takes a number");
        check("inverted_residual t6 c8 s1.5;",    "`s` takes a whole number");
        check("conv 3x3 c8",                      "ends without `;`");
        check("conv 3x3 c8 @;",                   "expected an argument");
        check("uib t4 c8 s2;",                    "no depthwise convolution that could stride");
        check("mqa h0 k4 v4;",                    "0 heads of 4 channels");
        check("mqa h2 k4 v4 q3;",                 "");
        check("dense 10;",                        "put global_avg_pool before it");
        check("global_avg_pool; dense 0;",        "0 channels");
        check("residual { pointwise c9 fixed; }", "cannot be added to");
        check("tap a; tap a;",                    "there is a value a already");
        check("repeat 2;",                        "`repeat` takes braces");
        check("conv 3x3 c8 { }",                  "`conv` takes no braces");
        check("residual: repeat 2 { batch_norm; }", "cannot be called by a name");
        check("",                                 "has no layers");
        check("mod net { conv 3x3 c8; ",          "");
        check("mod net(alpha = 0) { batch_norm; }", "alpha = 0");
        check("mod net(output_stride = 12) { batch_norm; }", "it takes a power of two");
        check("mod net(outputs = [p3]) { batch_norm; }", "there is no p3");
        check("block conv() { } mod net { batch_norm; }", "there is a `conv` already");
        check("block b(c) { } mod net { b; }",    "`b` needs `c`");
        check("fn main() {}",                     "expected `block` or `mod`");
    }

    #[test]
    #[rustfmt::skip]
    fn no_text_takes_the_compiler_down() {
        check("block b() { b; } mod net { b; }",                 "calls itself");
        check("repeat 99999 { repeat 99999 { batch_norm; } }",   "");
        check("conv 3x3 c8 n999999999;",                         "statements are run");
        check("conv 3x3 c1e300;",                                "");
        check("conv 99999999999999999999x3 c8;",                 "neither a number nor a kernel");
        check("conv 1000000x1000000 c8;",                        "");
        check("conv 0x0 c8;",                                    "");
        check("depthwise 3x3 m999999999;",                       "");
        check("conv 3x3 c8 s0;",                                 "");
        check("conv 3x3 c8 g0;",                                 "");
        check("conv 3x3 c8 d999999999;",                         "");
        check("repeat 99 { pointwise c16384 fixed; }", "more than 536870912 weights");
        check("pointwise c = 1/0;",                              "");
        check("squeeze_excite r = 0;",                           "");
        check("mqa h999999999 k999999999 v4;",                   "");
        check("mod net(input = [0, 8, 3]) { batch_norm; }",      "input");
        check("mod net(input = [999999999, 999999999, 3]) { batch_norm; }", "input");
        let deep = "(".repeat(100_000);
        check(&format!("conv 3x3 c = {deep}1;"),                 "brackets");
        let deep = format!("{}1{}", "(".repeat(200), ")".repeat(200));
        check(&format!("conv 3x3 c = {deep};"),                  "brackets");
        check("conv 3x3 c = -1;",                                "a width of -1");
    }

    /// Pieces that texts are made of, and some that they are not.
    const PIECES: &[&str] = &[
        "mod",
        "net",
        "block",
        "b",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        ";",
        ",",
        "=",
        ":",
        "+",
        "-",
        "*",
        "/",
        ".",
        "conv",
        "3x3",
        "c8",
        "s2",
        "t6",
        "bn",
        "relu",
        "residual",
        "repeat",
        "2",
        "0",
        "1e9",
        "se",
        "uib",
        "start",
        "mqa",
        "h2",
        "k4",
        "v4",
        "dense",
        "classes",
        "global_avg_pool",
        "tap",
        "p3",
        "in",
        "input",
        "96",
        "alpha",
        "0.5",
        "\"x\"",
        "inverted_residual",
        "n9",
        "d2",
        "g4",
        "'a'",
        "#",
        "é",
        "c = in * 2",
        "layer_scale",
        "outputs",
        "if_fits",
    ];

    proptest! {
        #[test]
        fn any_row_of_words_is_read_or_refused(
            row in prop::collection::vec(prop::sample::select(PIECES), 0..40),
            whole in any::<bool>(),
        ) {
            let words = row.join(" ");
            let text = if whole { words } else { format!("mod net(input = [8, 8, 4]) {{ {words} }}") };
            let _ = describe("net", &text, &[]);
        }
    }
}
