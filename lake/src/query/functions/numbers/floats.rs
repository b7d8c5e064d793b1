//! Powers, logarithms and angles, in doubles.

use datafusion::common::{Result, exec_err};

use super::define::{Body, Definition};

pub(super) const POWER: Definition = Definition {
    name: "power",
    aliases: &["pow"],
    about: "The first number raised to the power of the second, as a double.",
    syntax: "power(a, b)",
    example: "select power(2, 10) -- 1024",
    body: Body::Floats(power),
};

pub(super) const ALL: &[Definition] = &[
    POWER,
    Definition {
        name: "exp",
        aliases: &[],
        about: "e raised to that power.",
        syntax: "exp(x)",
        example: "select exp(0) -- 1",
        body: Body::Increasing(|x| finite(x.exp(), x)),
    },
    Definition {
        name: "expm1",
        aliases: &[],
        about: "e raised to that power, less one.",
        syntax: "expm1(x)",
        example: "select expm1(0) -- 0",
        body: Body::Increasing(|x| finite(x.exp_m1(), x)),
    },
    Definition {
        name: "ln",
        aliases: &[],
        about: "The natural logarithm.",
        syntax: "ln(x)",
        example: "select ln(exp(1)) -- 1",
        body: Body::Increasing(|x| Ok(of_logarithm(x)?.ln())),
    },
    Definition {
        name: "log1p",
        aliases: &[],
        about: "The natural logarithm of one more.",
        syntax: "log1p(x)",
        example: "select log1p(0) -- 0",
        body: Body::Increasing(|x| of_logarithm(1.0 + x).map(|_| x.ln_1p())),
    },
    Definition {
        name: "log",
        aliases: &[],
        about: "The logarithm to base 10, or to the base that comes first.",
        syntax: "log([base,] x)",
        example: "select log(100), log(2, 8) -- 2, 3",
        body: Body::FloatOrFloats(|x| Ok(of_logarithm(x)?.log10()), logarithm),
    },
    Definition {
        name: "log10",
        aliases: &[],
        about: "The logarithm to base 10.",
        syntax: "log10(x)",
        example: "select log10(1000) -- 3",
        body: Body::Increasing(|x| Ok(of_logarithm(x)?.log10())),
    },
    Definition {
        name: "log2",
        aliases: &[],
        about: "The logarithm to base 2.",
        syntax: "log2(x)",
        example: "select log2(8) -- 3",
        body: Body::Increasing(|x| Ok(of_logarithm(x)?.log2())),
    },
    Definition {
        name: "square",
        aliases: &[],
        about: "The number times itself, as a double.",
        syntax: "square(x)",
        example: "select square(3) -- 9",
        body: Body::Float(|x| finite(x * x, x)),
    },
    Definition {
        name: "acos",
        aliases: &[],
        about: "The inverse cosine, in radians.",
        syntax: "acos(x)",
        example: "select acos(1) -- 0",
        body: Body::Float(|x| Ok(within_one(x)?.acos())),
    },
    Definition {
        name: "asin",
        aliases: &[],
        about: "The inverse sine, in radians.",
        syntax: "asin(x)",
        example: "select asin(0) -- 0",
        body: Body::Increasing(|x| Ok(within_one(x)?.asin())),
    },
    Definition {
        name: "acosd",
        aliases: &[],
        about: "The inverse cosine, in degrees.",
        syntax: "acosd(x)",
        example: "select acosd(0.5) -- 60",
        body: Body::Float(|x| Ok(round(within_one(x)?.acos().to_degrees()))),
    },
    Definition {
        name: "asind",
        aliases: &[],
        about: "The inverse sine, in degrees.",
        syntax: "asind(x)",
        example: "select asind(0.5) -- 30",
        body: Body::Float(|x| Ok(round(within_one(x)?.asin().to_degrees()))),
    },
    Definition {
        name: "atand",
        aliases: &[],
        about: "The inverse tangent, in degrees.",
        syntax: "atand(x)",
        example: "select atand(1) -- 45",
        body: Body::Float(|x| Ok(round(x.atan().to_degrees()))),
    },
    Definition {
        name: "atan2d",
        aliases: &[],
        about: "The inverse tangent of a quotient, in degrees.",
        syntax: "atan2d(y, x)",
        example: "select atan2d(1, 0) -- 90",
        body: Body::Floats(|y, x| Ok(round(y.atan2(x).to_degrees()))),
    },
    Definition {
        name: "sind",
        aliases: &[],
        about: "The sine of an angle in degrees.",
        syntax: "sind(x)",
        example: "select sind(30) -- 0.5",
        body: Body::Float(|x| Ok(round(angle(x)?.sin()))),
    },
    Definition {
        name: "cosd",
        aliases: &[],
        about: "The cosine of an angle in degrees.",
        syntax: "cosd(x)",
        example: "select cosd(60) -- 0.5",
        body: Body::Float(|x| Ok(round(angle(x)?.cos()))),
    },
    Definition {
        name: "tand",
        aliases: &[],
        about: "The tangent of an angle in degrees.",
        syntax: "tand(x)",
        example: "select tand(45) -- 1",
        body: Body::Float(|x| Ok(round(angle(x)?.tan()))),
    },
    Definition {
        name: "isinf",
        aliases: &[],
        about: "Whether a double is infinite.",
        syntax: "isinf(x)",
        example: "select isinf('infinity'::double precision) -- true",
        body: Body::Is(f64::is_infinite),
    },
    Definition {
        name: "isfinite",
        aliases: &[],
        about: "Whether a double is neither infinite nor NaN.",
        syntax: "isfinite(x)",
        example: "select isfinite(1.5) -- true",
        body: Body::Is(f64::is_finite),
    },
];

/// The result, which is infinite only of an infinite number.
fn finite(result: f64, of: f64) -> Result<f64> {
    match result.is_infinite() && of.is_finite() {
        true => exec_err!("numeric overflow: a result is out of the range of double precision"),
        false => Ok(result),
    }
}

fn power(base: f64, exponent: f64) -> Result<f64> {
    if base == 0.0 && exponent < 0.0 {
        return exec_err!("zero raised to a negative power is undefined: division by zero");
    }
    if base < 0.0 && base.is_finite() && exponent.is_finite() && exponent.fract() != 0.0 {
        return exec_err!("a negative number raised to a non-integer power yields a complex result");
    }
    let result = base.powf(exponent);
    finite(
        result,
        if base.is_infinite() || exponent.is_infinite() {
            f64::INFINITY
        } else {
            base
        },
    )
}

/// What has a logarithm.
fn of_logarithm(x: f64) -> Result<f64> {
    match x {
        0.0 => exec_err!("cannot take logarithm of zero"),
        negative if negative < 0.0 => exec_err!("cannot take logarithm of a negative number"),
        x => Ok(x),
    }
}

fn logarithm(base: f64, x: f64) -> Result<f64> {
    let (base, x) = (of_logarithm(base)?, of_logarithm(x)?);
    Ok(match base {
        1.0 => return exec_err!("a logarithm to base one is a division by zero"),
        2.0 => x.log2(),
        10.0 => x.log10(),
        base => {
            // A whole power has a whole logarithm.
            let result = x.ln() / base.ln();
            match result.round() {
                whole if base.powf(whole) == x => whole,
                _ => result,
            }
        }
    })
}

fn within_one(x: f64) -> Result<f64> {
    match x.abs() > 1.0 {
        true => exec_err!("the argument is out of range: it must be between -1 and 1"),
        false => Ok(x),
    }
}

/// An angle of degrees in radians.
fn angle(degrees: f64) -> Result<f64> {
    match degrees.is_infinite() {
        true => exec_err!("the argument is out of range: an angle is finite"),
        false => Ok((degrees % 360.0).to_radians()),
    }
}

/// The sine of 30 degrees is a half, and not nearly: what is a millionth of a billionth from a half is it.
fn round(x: f64) -> f64 {
    let near = (x * 2.0).round() / 2.0;
    match (x - near).abs() < 1e-13 {
        true => near + 0.0,
        false => x,
    }
}
