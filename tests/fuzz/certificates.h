/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Certificates and keys for sessions under the fuzzer, good for decades, and of no use elsewhere: made by
 * tests/fake/make-certificate DIRECTORY NAME with
 *
 *	issuer ca key=ed25519; peer issuer=issuer key=ed25519 dns=server.test; own issuer=issuer
 */
#pragma once

#define PEER_NAME "server.test"

/* the issuer that both ends trust */
#define CA_PEM                                                               \
	"-----BEGIN CERTIFICATE-----\n"                                      \
	"MIH0MIGnoAMCAQICEAFhkuXV6ifRyl9aqjpj5/wwBQYDK2VwMBExDzANBgNVBAMT\n" \
	"Bmlzc3VlcjAgFw0yMzA5MjUxMDU2MDVaGA8yMDc0MDYwNzIzMjI0NVowETEPMA0G\n" \
	"A1UEAxMGaXNzdWVyMCowBQYDK2VwAyEApqmENzfOXbVLK/RY24bfYtCT4uCVJsCM\n" \
	"hwrQxnEX0kujEzARMA8GA1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EAMb2yFscTINOn\n" \
	"sIBtFNuJMQVHBcFjML2o5PIE/1aR+ad9OfILveW5AOlKfmGPTLA6MiqgFh2DY+E/\n" \
	"wdLe6I/2AQ==\n"                                                     \
	"-----END CERTIFICATE-----\n"
/* the other end, see tls13.h */
#define PEER_PEM                                                             \
	"-----BEGIN CERTIFICATE-----\n"                                      \
	"MIIBBzCBuqADAgECAhABJvyVyaVXQChZvt+efQinMAUGAytlcDARMQ8wDQYDVQQD\n" \
	"EwZpc3N1ZXIwIBcNMjMwOTI1MTA1NjA1WhgPMjA3NDA2MDcyMzIyNDVaMA8xDTAL\n" \
	"BgNVBAMTBHBlZXIwKjAFBgMrZXADIQBux5IsuU9vDZ8Zq0iuyqPU5c9B+Zy0/OiX\n" \
	"ipTasPpFkqMoMCYwDAYDVR0TAQH/BAIwADAWBgNVHREEDzANggtzZXJ2ZXIudGVz\n" \
	"dDAFBgMrZXADQQBNdjSiwPbyMewQsUN2SpAW2IGyQi82Z6eqkLGPm7Xmx1pLU0KP\n" \
	"CJWdXYE8ASGLhJda2eY+arBSmOQKh43n6xcD\n"                             \
	"-----END CERTIFICATE-----\n"
#define PEER_KEY                                                             \
	"-----BEGIN PRIVATE KEY-----\n"                                      \
	"MC4CAQAwBQYDK2VwBCIEIMIvs6fVtu8JQFA1Mgn1euXCPVXAHvUXlZzR7fqsROWb\n" \
	"-----END PRIVATE KEY-----\n"
/* the session under the fuzzer */
#define OWN_PEM                                                              \
	"-----BEGIN CERTIFICATE-----\n"                                      \
	"MIIBHTCB0KADAgECAhAB5724tb4qOBr9KndnlOxQMAUGAytlcDARMQ8wDQYDVQQD\n" \
	"EwZpc3N1ZXIwIBcNMjMwOTI1MTA1NjA1WhgPMjA3NDA2MDcyMzIyNDVaMA4xDDAK\n" \
	"BgNVBAMTA293bjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABH+ezuFMAsUm59Oc\n" \
	"SG/HWilhhkTiErrUYfSlGKqY6V26CVCNFqVnSwd7oxmXaLxPerlyujwLKjKxGPHY\n" \
	"d/lbnSejEDAOMAwGA1UdEwEB/wQCMAAwBQYDK2VwA0EAOyvJMxQTo/J6lBULd4fL\n" \
	"UICcazp5kyacLFxzI3/kXyy35q93rbPc+0ZkTPLWtHrxmAoG7pixCvDEgk4bxbU2\n" \
	"Dw==\n"                                                             \
	"-----END CERTIFICATE-----\n"
#define OWN_KEY                                                              \
	"-----BEGIN PRIVATE KEY-----\n"                                      \
	"MIGTAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBHkwdwIBAQQgNNLhP9T+fAw3sUC4\n" \
	"nZNCZYXm0bighnntUaKUxDFFuMSgCgYIKoZIzj0DAQehRANCAAR/ns7hTALFJufT\n" \
	"nEhvx1opYYZE4hK61GH0pRiqmOlduglQjRalZ0sHe6MZl2i8T3q5cro8CyoysRjx\n" \
	"2Hf5W50n\n"                                                         \
	"-----END PRIVATE KEY-----\n"
