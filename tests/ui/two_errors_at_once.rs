mobilec_macros::model! {
    mod options(input = [32, 32], seed = 1, layouts = nchw) {
        conv 3x3 c8 s2 bn relu reluu;
    }
}

mobilec_macros::model! {
    mod statements(input = [32, 32, 3], seed = 1) {
        conv 3y3 c8 s2 bn relu;
        pointwise c16 bn
        depthwise 3x3 q2;
        dense;
    }
}

mobilec_macros::model! {
    mod shapes(input = [32, 32, 3], seed = 1) {
        residual {
            pointwise c16 bn;
        }
        pointwise c16 swishy;
        inverted_residual t6 c12 residual;
        pool;
    }
}

fn main() {}
