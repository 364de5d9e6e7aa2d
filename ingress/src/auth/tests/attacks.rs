//! Tokens that must be refused, each by its code, and tokens that must be accepted.

use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::*;
use crate::auth::EXPIRY_LEEWAY_S;
use crate::auth::testing::{NOW_S, claims, claims_with, encode};

#[tokio::test]
async fn a_valid_token_is_accepted_as_its_subject() {
    let on = OnFile::new();
    let principal = on.judge(&TestKey::first().token(&claims())).await.unwrap();
    assert_eq!(&*principal.submitted_by, "ann");
    assert_eq!(principal.rights, Rights::STAFF);
    assert_eq!(principal.expires_at, Timestamp::from_millis((NOW_S + 3_600) * 1_000));

    let machine = claims_with("sub", Value::Null);
    assert_eq!(&*on.judge(&TestKey::first().token(&machine)).await.unwrap().submitted_by, CLIENT);

    let roleless = claims_with("cognito:groups", Value::Null);
    let principal = on.judge(&TestKey::first().token(&roleless)).await.unwrap();
    assert_eq!(principal.rights.may_read_status().unwrap_err().code, "no_role");

    let token = TestKey::first().token(&claims());
    for header in ["bearer ", "BEARER  "] {
        let header = HeaderValue::try_from(format!("{header}{token}")).unwrap();
        assert!(on.auth.authenticate(Some(&header)).await.is_ok());
    }
}

#[tokio::test]
async fn claims_that_do_not_fit_are_refused_by_name() {
    let on = OnFile::new();
    let long = "x".repeat(SUBMITTED_BY_CHARS + 1);
    for (name, value, code) in [
        ("iss", json!("https://issuer.test/pool/"), "token_wrong_issuer"),
        ("iss", json!("https://ISSUER.test/pool"), "token_wrong_issuer"),
        ("iss", Value::Null, "token_wrong_issuer"),
        ("iss", json!([ISSUER]), "token_malformed"),
        ("client_id", json!("stranger"), "token_wrong_client"),
        ("client_id", json!("till-client "), "token_wrong_client"),
        ("client_id", Value::Null, "token_wrong_client"),
        ("token_use", json!("id"), "token_wrong_use"),
        ("token_use", Value::Null, "token_wrong_use"),
        ("exp", json!(NOW_S - EXPIRY_LEEWAY_S - 1), "token_expired"),
        ("exp", json!(0), "token_expired"),
        ("exp", Value::Null, "token_malformed"),
        ("exp", json!("2099-01-01"), "token_malformed"),
        ("exp", json!(-1), "token_malformed"),
        ("exp", json!(1e300), "token_malformed"),
        ("nbf", json!(NOW_S + LEEWAY_S + 1), "token_not_yet_valid"),
        ("nbf", json!(true), "token_malformed"),
        ("sub", json!(long), "token_malformed"),
        ("sub", json!("a\nb"), "token_malformed"),
        ("sub", json!(7), "token_malformed"),
        ("cognito:groups", json!("Manager"), "token_malformed"),
        ("scope", json!(["stockline/manage"]), "token_malformed"),
        ("jti", json!(1), "token_malformed"),
    ] {
        let token = TestKey::first().token(&claims_with(name, value.clone()));
        assert_eq!(on.judge(&token).await.unwrap_err(), code, "{name} = {value}");
    }
    for (name, value) in [
        ("exp", json!(NOW_S - EXPIRY_LEEWAY_S)),
        ("exp", json!(NOW_S as f64 + 0.5)),
        ("nbf", json!(NOW_S + LEEWAY_S)),
        ("aud", json!("anything")),
        ("sub", json!("x".repeat(SUBMITTED_BY_CHARS))),
    ] {
        let token = TestKey::first().token(&claims_with(name, value.clone()));
        assert!(on.judge(&token).await.is_ok(), "{name} = {value}");
    }
}

#[tokio::test]
async fn only_rs256_of_a_known_key_is_accepted() {
    let on = OnFile::new();
    let good = TestKey::first().token(&claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();

    for alg in ["none", "None", "", "HS256", "HS512", "RS384", "RS512", "PS256", "ES256", "EdDSA", "rs256"] {
        let head = encode(json!({"alg": alg, "kid": "first"}).to_string());
        for signature in ["", signature] {
            let token = format!("{head}.{payload}.{signature}");
            assert_eq!(on.judge(&token).await.unwrap_err(), "token_algorithm", "{alg}");
        }
    }

    // The classic attack: the public key, which everyone has, is used as the secret of an HMAC.
    for alg in ["HS256", "RS256"] {
        let message = format!("{}.{payload}", encode(json!({"alg": alg, "kid": "first"}).to_string()));
        let secret = EncodingKey::from_secret(TestKey::first().public_pem.as_bytes());
        let mac = jsonwebtoken::crypto::sign(message.as_bytes(), &secret, Algorithm::HS256).unwrap();
        let code = if alg == "HS256" { "token_algorithm" } else { "token_invalid_signature" };
        assert_eq!(on.judge(&format!("{message}.{mac}")).await.unwrap_err(), code);
    }

    let raised = encode(claims_with("cognito:groups", json!(["Manager"])).to_string());
    let mut flipped = signature.to_owned();
    flipped.replace_range(0..1, if signature.starts_with('A') { "B" } else { "A" });
    for (token, code) in [
        (format!("{header}.{raised}.{signature}"), "token_invalid_signature"),
        (format!("{message}.{flipped}"), "token_invalid_signature"),
        (format!("{message}."), "token_invalid_signature"),
        (format!("{message}.{}", &signature[..signature.len() - 4]), "token_invalid_signature"),
        (format!("{message}.{signature}="), "token_invalid_signature"),
        (TestKey::second().token(&claims()), "token_unknown_key"),
        (
            TestKey::second().token_with(&json!({"alg": "RS256", "kid": "first"}), &claims().to_string()),
            "token_invalid_signature",
        ),
    ] {
        assert_eq!(on.judge(&token).await.unwrap_err(), code, "{token}");
    }
    assert!(on.judge(&good).await.is_ok());
}

#[tokio::test]
async fn a_header_can_name_a_known_key_and_nothing_else() {
    let on = OnFile::new();
    let with = |name: &str, value: Value| {
        let mut header = json!({"alg": "RS256", "kid": "first"});
        header[name] = value;
        header
    };
    let text = claims().to_string();
    for (header, code) in [
        (with("kid", json!("../../../../dev/null")), "token_unknown_key"),
        (with("kid", json!("first' OR '1'='1")), "token_unknown_key"),
        (with("kid", json!("")), "token_unknown_key"),
        (with("kid", json!("FIRST")), "token_unknown_key"),
        (with("kid", json!(1)), "token_malformed"),
        (json!({"alg": "RS256"}), "token_malformed"),
        (json!({"kid": "first"}), "token_malformed"),
        (json!([]), "token_malformed"),
        (with("crit", json!(["exp"])), "token_malformed"),
        (with("crit", json!([])), "token_malformed"),
    ] {
        let token = TestKey::first().token_with(&header, &text);
        assert_eq!(on.judge(&token).await.unwrap_err(), code, "{header}");
    }
    // A token with its own key is verified with ours.
    let attacker = TestKey::second();
    for (name, value) in [
        ("jwk", attacker.jwk()),
        ("jku", json!("http://127.0.0.1:1/jwks.json")),
        ("x5u", json!("http://127.0.0.1:1/cert.pem")),
        ("x5c", json!(["MIIB"])),
    ] {
        let forged = attacker.token_with(&with(name, value.clone()), &text);
        assert_eq!(on.judge(&forged).await.unwrap_err(), "token_invalid_signature", "{name}");
        assert!(on.judge(&TestKey::first().token_with(&with(name, value), &text)).await.is_ok(), "{name} is ignored");
    }
}

#[tokio::test]
async fn a_text_that_is_not_a_token_is_refused_before_any_work() {
    let on = OnFile::new();
    let good = TestKey::first().token(&claims());
    let json = claims().to_string();
    let twice = format!("{},\"sub\":\"eve\"}}", &json[..json.len() - 1]);
    let huge = TestKey::first().token(&claims_with("note", json!("x".repeat(TOKEN_BYTES))));
    let head = json!({"alg": "RS256", "kid": "first"});
    for token in [
        huge,
        TestKey::first().token_with(&head, &twice),
        TestKey::first().token_with(&head, &json.replace("\"sub\"", "\"\\u0073ub\":\"eve\",\"sub\"")),
        TestKey::first().token_with(&head, ""),
        TestKey::first().token_with(&head, "[]"),
        TestKey::first().token_with(&head, &format!("{json} ")[1..]),
        TestKey::first().token_with(&head, &format!("{json}{json}")),
        good[..good.len() / 4].to_owned(),
        good.replace('.', ""),
        format!("{good}.x"),
        format!("{good} {good}"),
        format!(".{good}"),
        "..".into(),
        "x".into(),
        good.replacen('.', "=.", 1),
    ] {
        assert_eq!(on.judge(&token).await.unwrap_err(), "token_malformed", "{token}");
    }
    let refused = async |header: Option<HeaderValue>| {
        let error = on.auth.authenticate(header.as_ref()).await.unwrap_err();
        assert!(error.www_authenticate().is_some() && error.status() == 401);
        error.code
    };
    assert_eq!(refused(None).await, "token_missing");
    for text in ["", "Basic YTpi", &good, "Bearer,x"] {
        assert_eq!(refused(Some(HeaderValue::from_str(text).unwrap())).await, "token_missing", "{text}");
    }
    for text in ["Bearer", "Bearer ", "Bearer\u{20}\u{20}"] {
        assert_eq!(refused(Some(HeaderValue::from_str(text).unwrap())).await, "token_malformed", "{text}");
    }
    assert_eq!(refused(Some(HeaderValue::from_bytes(b"Bearer \xff").unwrap())).await, "token_malformed");
}

#[tokio::test]
async fn a_known_token_expires_and_can_be_revoked() {
    let on = OnFile::new();
    let token = TestKey::first().token(&claims());
    let other = TestKey::first().token(&claims_with("jti", json!("token-2")));
    assert!(on.judge(&token).await.is_ok());
    assert!(on.judge(&other).await.is_ok());

    on.write("revoked", &revoked(&["token-1"]));
    assert!(on.judge(&token).await.is_ok(), "the list is looked at once a second");
    on.clock.advance_ms(1_000);
    assert_eq!(on.judge(&token).await.unwrap_err(), "token_revoked");
    assert!(on.judge(&other).await.is_ok());
    let again =
        TestKey::first().token_with(&json!({"alg": "RS256", "kid": "first", "typ": "at+jwt"}), &claims().to_string());
    assert_eq!(on.judge(&again).await.unwrap_err(), "token_revoked", "also where it is not in the cache");

    for worse in [String::new(), "token-1".into(), revoked(&[])] {
        on.write("revoked", &worse);
        on.clock.advance_ms(1_000);
        assert_eq!(on.judge(&token).await.unwrap_err(), "token_revoked", "after the list became {worse:?}");
        let expected = if worse == revoked(&[]) { None } else { Some("auth_unavailable") };
        assert_eq!(on.judge(&other).await.err(), expected, "after the list became {worse:?}");
        assert_eq!(on.auth.why_unready().await.is_some(), expected.is_some(), "after the list became {worse:?}");
    }
    on.clock.advance_ms((3_600 + EXPIRY_LEEWAY_S) * 1_000 - 4_000);
    assert!(on.judge(&other).await.is_ok(), "to the end of the leeway");
    on.clock.advance_ms(1);
    assert_eq!(on.judge(&other).await.unwrap_err(), "token_expired");
}

#[tokio::test]
async fn a_list_that_this_process_has_changed_is_read_before_the_next_request() {
    let on = OnFile::new();
    let token = TestKey::first().token(&claims());
    assert!(on.judge(&token).await.is_ok());
    on.write("revoked", &revoked(&["token-1"]));
    on.changed.tell();
    assert_eq!(on.judge(&token).await.unwrap_err(), "token_revoked", "within the same millisecond");
}

#[tokio::test]
async fn a_known_token_needs_no_key() {
    let on = OnFile::new();
    let token = TestKey::first().token(&claims());
    let first = on.judge(&token).await.unwrap();
    // The cache keeps its tokens here; a rotation would drop them.
    on.auth.state.trusted.replace(keyset::KeySet::default());
    assert_eq!(on.judge(&token).await.unwrap(), first);
    assert!(!on.auth.is_ready());
    let other = TestKey::first().token(&claims_with("sub", json!("bob")));
    assert_eq!(on.judge(&other).await.unwrap_err(), "token_unknown_key");
}

#[tokio::test]
async fn a_refusal_reveals_nothing_of_the_token() {
    let on = OnFile::new();
    for (name, value) in [("iss", "https://secret.test"), ("client_id", "secret.test"), ("sub", "secret.test\n")] {
        let token = TestKey::first().token(&claims_with(name, json!(value)));
        let error = on.auth.authenticate(Some(&bearer(&token))).await.unwrap_err();
        assert!(!format!("{error:?} {:?}", error.www_authenticate()).contains("secret"), "{error:?}");
    }
}
