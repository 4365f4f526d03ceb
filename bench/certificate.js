/** A key and a certificate for the servers with TLS, made by openssl for this run and kept nowhere. */
import { execFileSync } from 'node:child_process'

/** `{ key, cert }`; throws where there is no openssl. */
export function makeCertificate () {
  const pem = execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1', '-subj', '/CN=localhost', '-keyout', '-', '-out', '-'
  ], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const [key, cert] = pem.split(/(?=-----BEGIN CERTIFICATE-----)/)
  return { key, cert }
}
