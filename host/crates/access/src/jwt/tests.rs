use jsonwebtoken::{EncodingKey, Header, encode};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::keys::{parse_key_set, public_key, secret_key};
use crate::rules::{Action, Operation, Permission};

const SECRET: &[u8] = b"a secret of thirty-two bytes and more";
const NOW: u64 = 1_000_000;

/// A new key pair of the curve P-256: the private key in PEM, and the public one.
fn key_pair() -> (EncodingKey, String) {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    (
        EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap(),
        pair.public_key_pem(),
    )
}

fn rules(claims: &[(&str, &str)]) -> TokenRules {
    let expected = |texts: &str| texts.split('|').map(|text| text.parse().unwrap()).collect();
    TokenRules {
        from: TokenField::Password,
        claims: claims
            .iter()
            .map(|(name, texts)| ((*name).to_owned(), expected(texts)))
            .collect(),
        acl_claim: "acl".to_owned(),
        rights: Rights::Emqx5,
        disconnects_after_expiry: true,
    }
}

fn login(token: &str) -> Login<'_> {
    Login {
        client_id: "c1",
        username: Some("alice"),
        password: Some(token.as_bytes()),
        address: None,
        protocol: 4,
        certificate: None,
        will: None,
    }
}

fn signed(claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET)).unwrap()
}

fn check(token: &str, rules: &TokenRules) -> Result<Granted, TokenError> {
    verify(token, &[secret_key(SECRET)], rules, &login(token), NOW)
}

#[test]
fn claims_and_times() {
    let rules = rules(&[("sub", "${username}"), ("client", "${clientid}"), ("version", "1")]);
    let claims = |more: Value| {
        let mut claims = json!({"sub": "alice", "client": "c1", "version": 1});
        claims
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        claims
    };
    for (more, expected) in [
        (json!({}), Ok(None)),
        (json!({"exp": NOW + 1}), Ok(Some(NOW + 1))),
        (json!({"exp": NOW as f64 + 1.5}), Ok(Some(NOW + 1))),
        (json!({"exp": NOW - 5}), Err(TokenError::Time)),
        (json!({"exp": "tomorrow"}), Err(TokenError::Time)),
        (json!({"exp": -1}), Err(TokenError::Time)),
        (json!({"nbf": NOW + 6}), Err(TokenError::Time)),
        (json!({"nbf": NOW + 5}), Ok(None)),
        (json!({"aud": "another service"}), Ok(None)),
        (json!({"sub": "bob"}), Err(TokenError::Claims)),
        (json!({"client": ["c1"]}), Err(TokenError::Claims)),
        (json!({"version": null}), Err(TokenError::Claims)),
        (json!({"acl": {"pub": "a"}}), Err(TokenError::Claims)),
    ] {
        let result = check(&signed(&claims(more.clone())), &rules).map(|granted| granted.expires_at);
        assert_eq!(result, expected, "{more}");
    }
}

#[test]
fn a_claim_has_one_of_its_expected_values() {
    let rules = rules(&[("iss", "https://a|https://b"), ("aud", "app|${clientid}")]);
    for (claims, is_accepted) in [
        (json!({"iss": "https://a", "aud": "app"}), true),
        (json!({"iss": "https://b", "aud": "c1"}), true),
        (json!({"iss": "https://b", "aud": ["web", "app"]}), true),
        (json!({"iss": "https://c", "aud": "app"}), false),
        (json!({"iss": ["https://a"], "aud": "app"}), false),
        (json!({"iss": "https://a", "aud": ["web"]}), false),
        (json!({"iss": "https://a", "aud": []}), false),
        (json!({"iss": "https://a"}), false),
    ] {
        assert_eq!(check(&signed(&claims), &rules).is_ok(), is_accepted, "{claims}");
    }
}

#[test]
fn what_a_token_grants() {
    let token = signed(&json!({
        "is_superuser": true, "client_attrs": {"site": "hall 3", "floor": 2},
        "acl": {"pub": ["a/${clientid}"], "sub": ["b/#"]},
    }));
    let granted = check(&token, &rules(&[])).unwrap();
    assert!(granted.is_superuser);
    assert_eq!(granted.attributes, [("site".to_owned(), "hall 3".to_owned())]);
    let own = granted.own.unwrap();
    let client = own.rules.for_client(&login(&token).identity());
    let operation = |action, topic| Operation {
        action,
        topic,
        qos: 0,
        retain: false,
    };
    let decide = |action, topic| own.rules.decide(&client, &operation(action, topic));
    assert_eq!(decide(Action::Publish, "a/c1"), Some(Permission::Allow));
    assert_eq!(decide(Action::Publish, "b/x"), None);
    assert_eq!(decide(Action::Subscribe, "b/+"), Some(Permission::Allow));
    assert!(own.is_complete);
}

#[test]
fn what_a_token_grants_as_in_rmqtt() {
    let list = json!([{"permission": "allow", "action": "all", "topic": "a"}]);
    let rules = TokenRules {
        rights: Rights::Rmqtt,
        ..rules(&[])
    };
    for (claims, expected) in [
        (json!({}), Ok((false, false))),
        (json!({"is_superuser": true, "acl": {"all": ["#"]}}), Ok((false, false))),
        (json!({"superuser": true}), Ok((true, false))),
        (json!({"superuser": "true", "acl": list}), Ok((false, true))),
        (
            json!({"acl": [{"permission": "allow", "topic": "a"}]}),
            Err(TokenError::Claims),
        ),
    ] {
        let granted = check(&signed(&claims), &rules);
        let granted = granted.map(|granted| (granted.is_superuser, granted.own.is_some()));
        assert_eq!(granted, expected, "{claims}");
    }
}

#[test]
fn the_kind_of_the_key_decides_the_algorithm() {
    let (private, public) = key_pair();
    let public_only = [public_key(public.as_bytes()).unwrap()];
    let header = Header::new(Algorithm::ES256);
    let good = encode(&header, &json!({}), &private).unwrap();
    let check = |token: &str, keys: &[Key]| verify(token, keys, &rules(&[]), &login(token), NOW).map(drop);
    assert_eq!(check(&good, &public_only), Ok(()));
    // HMAC with the public key as the secret.
    let swapped = encode(
        &Header::new(Algorithm::HS256),
        &json!({}),
        &EncodingKey::from_secret(public.as_bytes()),
    )
    .unwrap();
    assert_eq!(check(&swapped, &public_only), Err(TokenError::UnknownKey));
    assert_eq!(
        check(&good, &[secret_key(public.as_bytes())]),
        Err(TokenError::UnknownKey)
    );
    // No algorithm at all: {"alg":"none"} in several spellings, with and without a signature.
    let payload = good.split('.').nth(1).unwrap();
    for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJOb25lIn0", "eyJhbGciOiIifQ", "e30"] {
        for signature in ["", good.split('.').nth(2).unwrap()] {
            let token = format!("{header}.{payload}.{signature}");
            assert_eq!(check(&token, &public_only), Err(TokenError::NoToken), "{token}");
        }
    }
    let (_, other) = key_pair();
    assert_eq!(
        check(&good, &[public_key(other.as_bytes()).unwrap()]),
        Err(TokenError::Signature)
    );
    assert!(public_key(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n").is_err());
}

#[test]
fn key_sets() {
    let rsa = json!({"kty": "RSA", "kid": "r", "n": "sXch", "e": "AQAB", "alg": "RS256"});
    let curve = json!({"kty": "EC", "crv": "P-256", "kid": "e", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let secret = json!({"kty": "oct", "kid": "s", "k": "c2VjcmV0", "alg": "HS256"});
    let encryption = json!({"kty": "RSA", "use": "enc", "n": "sXch", "e": "AQAB"});
    let swapped = json!({"kty": "EC", "crv": "P-256", "alg": "HS256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let set = json!({"keys": [rsa, curve, secret, encryption, swapped, 7, {"kty": "new"}]});
    let keys = parse_key_set(set.to_string().as_bytes()).unwrap();
    let shown: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
    assert_eq!(shown, ["Key(Some(\"r\"), [RS256])", "Key(Some(\"e\"), [ES256, ES384])"]);
    for text in ["", "[]", "{}", "{\"keys\": []}", "{\"keys\": 1}"] {
        assert!(parse_key_set(text.as_bytes()).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_refused(text in "([A-Za-z0-9_-]{0,30}\\.){0,3}[A-Za-z0-9_-]{0,30}|.{0,60}") {
        prop_assert!(check(&text, &rules(&[])).is_err());
        prop_assert!(token(TokenField::Password, &login(&text)).is_none_or(|token| token == text));
    }

    #[test]
    fn a_changed_token_is_refused(at in 0..200_usize, byte: u8) {
        let token = signed(&json!({"sub": "alice", "exp": NOW + 10}));
        let mut bytes = token.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(changed) = String::from_utf8(bytes) {
            // The last character of base64 has bits without a meaning.
            let is_same = changed == token || check(&changed, &rules(&[])).is_ok() && at + 1 == token.len();
            prop_assert_eq!(check(&changed, &rules(&[])).is_ok(), is_same);
        }
    }
}
