mobilec_macros::model! {
    mod net(input = [32, 32, 3], target = "x86-65") {
        conv 3x3 c8 s2 bn relu;
    }
}

mobilec_macros::model! {
    mod empty(input = [32, 32, 3]) {
    }
}

mod rounded {
    mobilec_macros::include_model!("../../digits/digits_int8.onnx", rounding = "even");
}

fn main() {}
