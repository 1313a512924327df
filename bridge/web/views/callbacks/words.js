/**
 * Why an attempt came to nothing, in words.
 * @module
 */

const ERRORS = {
  "address-not-allowed": "its address is private, which recbridge.yml does not allow",
  "no-such-host": "there is no such host",
  "not-reached": "nobody answers there",
  "tls-failed": "its certificate is not trusted, or TLS failed",
  "connection-lost": "the connection broke",
  "bad-url": "the address is none",
  timeout: "no answer in time",
  redirected: "it leads elsewhere (a redirect), which is not followed",
  "not-made": "it could not be made",
};

/**
 * @param {string|null} error a code of the API
 * @returns {string}
 */
export function errorWords(error) {
  if (!error) return "";
  return ERRORS[error] ?? error.replace(/^status-/, "answer ");
}
