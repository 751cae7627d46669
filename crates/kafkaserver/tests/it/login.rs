//! How clients of tests say who they are.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest};
use ring::{digest, hmac, pbkdf2};

use crate::support::*;

/// By name and password as they are.
pub async fn plain(client: &mut Client, name: &str, password: &str) -> SaslAuthenticateResponse {
    let shaken = client.ask(1, &SaslHandshakeRequest::default().with_mechanism(text("PLAIN"))).await;
    assert_eq!(shaken.error_code, 0);
    let token = Bytes::from(format!("\0{name}\0{password}"));
    client.ask(2, &SaslAuthenticateRequest::default().with_auth_bytes(token)).await
}

/// What is hashed of a password of SCRAM-SHA-256.
pub fn salted(password: &str, salt: &[u8], rounds: std::num::NonZeroU32) -> Bytes {
    let mut salted = [0; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, password.as_bytes(), &mut salted);
    Bytes::copy_from_slice(&salted)
}

/// The exchange of RFC 7677; whether it ended well. Then the server has proved that it knows the password, too.
pub async fn scram(client: &mut Client, name: &str, password: &str) -> bool {
    client.ask(1, &SaslHandshakeRequest::default().with_mechanism(text("SCRAM-SHA-256"))).await;
    let mut say = async |token: String| {
        let said = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(token));
        let answer = client.ask(2, &said).await;
        (answer.error_code == 0).then(|| String::from_utf8(answer.auth_bytes.to_vec()).unwrap())
    };
    let first = say(format!("n,,n={name},r=abc")).await.unwrap();
    let field = |name: &str| first.split(',').find_map(|field| field.strip_prefix(name)).unwrap();
    assert!(field("r=").starts_with("abc") && field("r=").len() > 35);
    let salt = STANDARD.decode(field("s=")).unwrap();
    let salted = salted(password, &salt, field("i=").parse().unwrap());
    let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec();
    let key = sign(&salted, b"Client Key");
    let without_proof = format!("c=biws,r={}", field("r="));
    let said = format!("n={name},r=abc,{first},{without_proof}");
    let signature = sign(digest::digest(&digest::SHA256, &key).as_ref(), said.as_bytes());
    let proof: Vec<u8> = key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
    let Some(last) = say(format!("{without_proof},p={}", STANDARD.encode(proof))).await else { return false };
    let expected = sign(&sign(&salted, b"Server Key"), said.as_bytes());
    assert_eq!(last, format!("v={}", STANDARD.encode(expected)), "the server knows the password, too");
    true
}
