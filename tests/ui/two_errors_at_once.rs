mobilec_macros::model! {
    mod net(input = [32, 32], seed = 1, layouts = nchw) {
        conv 3x3 c8 s2 bn relu;
    }
}

mobilec_macros::model! {
    mod other(input = [32, 32, 3], seed = 1) {
        conv 3y3 c8 s2 bn relu;
        pointwise c16 bn
        depthwise 3x3 q2;
        dense;
    }
}

mobilec_macros::model! {
    mod third(input = [32, 32, 3], seed = 1) {
        conv 3x3 s2 bn relu;
        pointwise c16 swishy;
        inverted_residual t6 c12 residual;
        pool;
    }
}

fn main() {}
