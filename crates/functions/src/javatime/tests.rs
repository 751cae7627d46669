use proptest::prelude::*;

use super::*;
use crate::calendar::{format_timestamp, parse_timestamp};

fn ms(text: &str) -> i64 {
    parse_timestamp(text).expect("a timestamp")
}

#[test]
fn formats() {
    let check = |at: &str, zone: &str, pattern: &str, expect: &str| {
        let moment = Moment::instant(ms(at), &Zone::parse(zone).expect("a zone"));
        let text = Pattern::compile(pattern).and_then(|p| p.format(&moment));
        assert_eq!(text.as_deref(), Ok(expect), "{pattern}");
    };
    let at = "2018-05-11T21:58:33.007";
    check(at, "UTC", "yyyy-MM-dd HH:mm:ss", "2018-05-11 21:58:33");
    check(at, "Europe/London", "yyyy-MM-dd HH:mm:ss zzz", "2018-05-11 22:58:33 BST");
    check(at, "UTC", "yyyy-MM-dd HH:mm:ss Z", "2018-05-11 21:58:33 +0000");
    check(at, "UTC", "yyyy-MM-dd'T'HH:mm:ss.SSSX", "2018-05-11T21:58:33.007Z");
    check(
        at,
        "America/Los_Angeles",
        "zzzz XXX xx VV O",
        "Pacific Daylight Time -07:00 -0700 America/Los_Angeles GMT-7",
    );
    check(at, "UTC", "EEEE, d. MMMM uuuu h:mm a", "Friday, 11. May 2018 9:58 PM");
    check(at, "UTC", "EEE MMM yy D DDD Q QQQ QQQQ G", "Fri May 18 131 131 2 Q2 2nd quarter AD");
    check(at, "UTC", "''yyyy''''", "'2018'");
    check(at, "UTC", "k K hh e YYYY w SSSSSSSSS", "21 9 09 6 2018 19 007000000");
    check(at, "UTC", "pppdd[ HH]", " 11 21");
    check("2012-01-01T00:00", "+05:30", "HH:mm XXX x", "05:30 +05:30 +0530");
    check("2023-12-31T10:00", "UTC", "YYYY-ww e", "2024-01 1");
}

#[test]
fn formats_what_there_is() {
    let date = Moment::date(17_662);
    let check = |pattern: &str| Pattern::compile(pattern).and_then(|p| p.format(&date));
    assert_eq!(check("dd-MMM-yyyy").as_deref(), Ok("11-May-2018"));
    assert_eq!(check("yyyy-MM-dd'Sophia'").as_deref(), Ok("2018-05-11Sophia"));
    assert_eq!(check("yyyy[ HH]").as_deref(), Ok("2018"));
    assert_eq!(check("HH"), Err(TimeError::Missing { field: "an hour", what: "DATE" }));
    let time = Pattern::compile("HH_mm_ss_SSS").and_then(|p| p.format(&Moment::time(65_000)));
    assert_eq!(time.as_deref(), Ok("00_01_05_000"));
}

#[test]
fn bad_patterns() {
    for bad in ["yyyy-MM-dd'T", "foo", "[yyyy]]", "{", "HHH", "VVV", "p", "aa", "ddd", "yyyyyyyyyyyyyyyyyyyyyy"] {
        assert!(Pattern::compile(bad).is_err(), "{bad}");
    }
}

#[test]
fn parses() {
    let check = |text: &str, pattern: &str, expect: Option<&str>| {
        let parsed = Pattern::compile(pattern).expect("a pattern").parse(text).and_then(|p| p.instant(&Zone::UTC));
        let got = parsed.as_ref().ok().map(|ms| format_timestamp(*ms));
        assert_eq!(got.as_deref(), expect.map(|e| format_timestamp(self::ms(e))).as_deref(), "{text}: {parsed:?}");
    };
    check("2018-05-11T21:58:33Z", "yyyy-MM-dd'T'HH:mm:ssX", Some("2018-05-11T21:58:33"));
    check("2018-05-11T21:58:33z", "yyyy-MM-dd'T'HH:mm:ssX", Some("2018-05-11T21:58:33"));
    check("2018-05-11T21:58:33+02", "yyyy-MM-dd'T'HH:mm:ssX", Some("2018-05-11T19:58:33"));
    check("2018-05-11T21:58:33 PST", "yyyy-MM-dd'T'HH:mm:ss zzz", Some("2018-05-12T04:58:33"));
    check("2018-01-11 21:58 Pacific Standard Time", "yyyy-MM-dd HH:mm zzzz", Some("2018-01-12T05:58"));
    check("2018-01-11 21:58 Europe/Berlin", "yyyy-MM-dd HH:mm VV", Some("2018-01-11T20:58"));
    check("2018-05-11Lit", "yyyy-MM-dd'Lit'", Some("2018-05-11"));
    check("01-JAN-2022", "dd-MMM-yyyy", Some("2022-01-01"));
    check("20180511215833007", "yyyyMMddHHmmssSSS", Some("2018-05-11T21:58:33.007"));
    check("180511", "yyMMdd", Some("2018-05-11"));
    check("2021-06-31", "yyyy-MM-dd", Some("2021-06-30"));
    check("01:00:00 Pm", "hh:mm:ss a", Some("1970-01-01T13:00"));
    check("12:30 am", "hh:mm a", Some("1970-01-01T00:30"));
    check("2018", "yyyy[-MM]", Some("2018"));
    check("2018-131", "yyyy-DDD", Some("2018-05-11"));
    check("Friday, 11. May 2018", "EEEE, d. MMMM yyyy", Some("2018-05-11"));
    check("Monday, 11. May 2018", "EEEE, d. MMMM yyyy", None);
    check("2018-05-11 extra", "yyyy-MM-dd", None);
    check("2018-13-11", "yyyy-MM-dd", None);
    check("2018-1-1", "yyyy-MM-dd", None);
    check("18-05-11", "yyyy-MM-dd", None);
    check("24:00", "HH:mm", None);
    check("", "yyyy", None);
    check("2017-366", "yyyy-DDD", None);
    // Clocks in New York skip 2:30 on that day.
    check("2018-03-11 02:30 America/New_York", "yyyy-MM-dd HH:mm VV", Some("2018-03-11T07:30"));
}

#[test]
fn zones() {
    let offset = |id: &str| Zone::parse(id).map(|z| z.offset_at(0)).ok();
    assert_eq!(offset("+0200"), Some(7200));
    assert_eq!(offset("GMT+2"), Some(7200));
    assert_eq!(offset("UTC-08:00"), Some(-28_800));
    assert_eq!(offset("PDT"), Some(-28_800));
    assert_eq!(offset("Z"), Some(0));
    assert_eq!(offset("Europe/London"), Some(3600));
    assert_eq!(offset("Middle/Earth"), None);
    assert_eq!(offset(""), None);
    for ms in [i64::MIN, i64::MAX] {
        let zone = Zone::parse("America/New_York").expect("a zone");
        let _ = (zone.offset_at(ms), zone.offset_of_local(ms), zone.name_at(Style::Full, ms));
        let _ = Pattern::compile("yyyy-MM-dd HH:mm:ss zzzz").expect("a pattern").format(&Moment::instant(ms, &zone));
    }
}

proptest! {
    #[test]
    fn round_trip(ms in -62_135_596_800_000_i64..253_402_300_800_000, pattern in proptest::sample::select(vec![
        "yyyy-MM-dd'T'HH:mm:ss.SSSX",
        "yyyyMMddHHmmssSSS",
        "EEEE dd MMMM uuuu hh:mm:ss.SSS a XXX",
        "D/yyyy kk-mm-ss SSS",
        "A d.M.y",
        "YYYY w e N",
    ])) {
        let pattern = Pattern::compile(pattern).expect("a pattern");
        let text = pattern.format(&Moment::instant(ms, &Zone::UTC)).expect("formats");
        prop_assert_eq!(pattern.parse(&text).and_then(|p| p.instant(&Zone::UTC)), Ok(ms), "{}", text);
    }

    #[test]
    fn nothing_panics(pattern in "[yMdHhmsSaEzXVQw' \\[\\]-]{0,12}", text in ".{0,20}", ms: i64) {
        if let Ok(pattern) = Pattern::compile(&pattern) {
            let _ = pattern.parse(&text).map(|p| (p.instant(&Zone::UTC), p.date(), p.time()));
            let _ = pattern.format(&Moment::instant(ms, &Zone::UTC));
        }
    }
}
