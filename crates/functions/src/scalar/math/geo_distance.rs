//! `GEO_DISTANCE`.

use arrow::array::{ArrayRef, Float64Array, StringArray};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Double, String},
    scalar::definition::{Call, Overload, Scalar},
};

const EARTH_RADIUS_KM: f64 = 6371.0;
const EARTH_RADIUS_MILES: f64 = 3959.0;

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "GEO_DISTANCE",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["GEO_DISTANCE(lat1, lon1, lat2, lon2[, unit])"],
        description: "The great-circle distance between two points given in decimal degrees, in kilometres, or in \
                      miles if the unit begins with 'MI' (else with 'KM'). NULL if an argument is NULL; latitudes \
                      beyond 90 and longitudes beyond 180 degrees are errors.",
        examples: &[("ROUND(GEO_DISTANCE(37.4439, -122.1663, 51.5257, -0.1122))", "8635")],
    },
    overloads: &[
        Overload::new(&[Double, Double, Double, Double], Double, eval),
        Overload::new(&[Double, Double, Double, Double, String], Double, eval),
    ],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let degrees = [0, 1, 2, 3].map(|at| call.view::<Float64Array>(at));
    let [lat1, lon1, lat2, lon2] = degrees;
    let (lat1, lon1, lat2, lon2) = (lat1?, lon1?, lat2?, lon2?);
    let unit = call.optional::<StringArray>(4)?;
    call.try_rows::<Float64Array, _, _>(errors, |row| {
        let (Some(a), Some(b), Some(c), Some(d)) = (lat1.get(row), lon1.get(row), lat2.get(row), lon2.get(row)) else {
            return Ok(None);
        };
        let radius = match unit.map(|u| u.get(row)) {
            None => EARTH_RADIUS_KM,
            Some(None) => return Ok(None),
            Some(Some(unit)) => radius_of(unit)?,
        };
        distance((a, b), (c, d)).map(|angle| Some(radius * angle))
    })
}

fn radius_of(unit: &str) -> std::result::Result<f64, std::string::String> {
    match unit.get(..2).map(str::to_ascii_uppercase).as_deref() {
        Some("KM") => Ok(EARTH_RADIUS_KM),
        Some("MI") => Ok(EARTH_RADIUS_MILES),
        _ => Err(format!("'{unit}' is no unit of distance: expected KM or MILES")),
    }
}

/// The angle between two (latitude, longitude) in degrees, by the haversine formula.
fn distance(from: (f64, f64), to: (f64, f64)) -> std::result::Result<f64, std::string::String> {
    for (lat, lon) in [from, to] {
        if !(-90.0..=90.0).contains(&lat) || !(-180.0..=180.0).contains(&lon) {
            return Err(format!("there is no latitude {lat}, longitude {lon}"));
        }
    }
    let (lat1, lat2) = (from.0.to_radians(), to.0.to_radians());
    let half_lat = ((to.0 - from.0).to_radians() / 2.0).sin();
    let half_lon = ((to.1 - from.1).to_radians() / 2.0).sin();
    let chord = half_lat * half_lat + half_lon * half_lon * lat1.cos() * lat2.cos();
    Ok(2.0 * chord.clamp(0.0, 1.0).sqrt().asin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let check = |from, to, expect: f64| {
            let km = EARTH_RADIUS_KM * distance(from, to).expect("on Earth");
            assert!((km - expect).abs() < 1e-8, "{km}");
        };
        check((37.4439, -122.1663), (51.5257, -0.1122), 8_634.659_796_579_544);
        check((51.5257, -0.1122), (-33.9323, 18.4197), 9_673.404_211_971_42);
        check((37.4439, -122.1663), (51.0, 0.0), 8_682.459_061_368_269);
        check((39.18660374, -76.73262144), (39.18660374, -76.73222145), 0.034_473_668_114_483_24);
        assert!(distance((91.0, 0.0), (0.0, 0.0)).is_err());
        assert!(radius_of("parsec").is_err());
        assert_eq!(radius_of("miles"), Ok(EARTH_RADIUS_MILES));
    }
}
