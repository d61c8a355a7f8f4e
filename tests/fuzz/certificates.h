/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Certificates and keys for sessions under the fuzzer, good for decades, and of no use elsewhere: made by
 * tests/fake/make-certificate DIRECTORY NAME with
 *
 *	issuer ca key=ed25519; own issuer=issuer; peer issuer=issuer key=ed25519 dns=server.test;
 *	odd issuer=issuer key=ed25519 dns=other.test dns=*.test ip=10.0.0.1 ip=fd00::1 usage=client
 */
#pragma once

#define PEER_NAME "server.test"

/* the issuer that both ends trust */
#define ISSUER_PEM                                                           \
	"-----BEGIN CERTIFICATE-----\n"                                      \
	"MIH0MIGnoAMCAQICEAEIOEahtGS+R3cqw16JCAswBQYDK2VwMBExDzANBgNVBAMT\n" \
	"Bmlzc3VlcjAgFw0yMzA5MjUxMTE4MDNaGA8yMDc0MDYwNzIzNDQ0M1owETEPMA0G\n" \
	"A1UEAxMGaXNzdWVyMCowBQYDK2VwAyEAVqJj8YiFjB5qj/etfI2yY5KtCjk4uvxP\n" \
	"/2ZUnMFrAE6jEzARMA8GA1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EAV3Ph3iP3LWBW\n" \
	"ZWWzsVnePIMj/VbhfW9jMrR2sZLafs7K28RQXCsTRYcbb71ccvgaBbrDyvrmrfHc\n" \
	"h93yF6qhAg==\n"                                                     \
	"-----END CERTIFICATE-----\n"
#define ISSUER_KEY                                                           \
	"-----BEGIN PRIVATE KEY-----\n"                                      \
	"MC4CAQAwBQYDK2VwBCIEIHK831QOCP1kFPlsrcVLLNL7+Sl/0/QYcyL2RP/qxx2L\n" \
	"-----END PRIVATE KEY-----\n"
/* the other end, see tls13.h */
#define PEER_PEM                                                             \
	"-----BEGIN CERTIFICATE-----\n"                                      \
	"MIIBBzCBuqADAgECAhAB+jGJBZjn7aXYbRHlEdvAMAUGAytlcDARMQ8wDQYDVQQD\n" \
	"EwZpc3N1ZXIwIBcNMjMwOTI1MTExODAzWhgPMjA3NDA2MDcyMzQ0NDNaMA8xDTAL\n" \
	"BgNVBAMTBHBlZXIwKjAFBgMrZXADIQBSws/VcrM9d7lGZty2afUGYGoTfur/T8Pg\n" \
	"JF+1ydlP/aMoMCYwDAYDVR0TAQH/BAIwADAWBgNVHREEDzANggtzZXJ2ZXIudGVz\n" \
	"dDAFBgMrZXADQQB4uPoGWSnN2Q2xHVEPz9YuwUBxf5yJ1Y1Jlxxxox8iRyt4JyPb\n" \
	"dJqMAxd5UO14xA/HSOtXOZxUR89PD4cZeIcB\n"                             \
	"-----END CERTIFICATE-----\n"
#define PEER_KEY                                                             \
	"-----BEGIN PRIVATE KEY-----\n"                                      \
	"MC4CAQAwBQYDK2VwBCIEIHpMztI3vCN1a59+WH32C1zweUsEGi8v9sQIouD7QtvW\n" \
	"-----END PRIVATE KEY-----\n"
/* another certificate for the other end, with more in it */
#define ODD_PEM                                                              \
	"-----BEGIN CERTIFICATE-----\n"                                      \
	"MIIBOjCB7aADAgECAhABxhjug1EoT/Ug3kIqLvG0MAUGAytlcDARMQ8wDQYDVQQD\n" \
	"EwZpc3N1ZXIwIBcNMjMwOTI1MTExODA0WhgPMjA3NDA2MDcyMzQ0NDRaMA4xDDAK\n" \
	"BgNVBAMTA29kZDAqMAUGAytlcAMhAK7tL+JuZLuz2w/G+LBM3XP1XSOghLaLAC4S\n" \
	"u7v1yn7uo1wwWjAMBgNVHRMBAf8EAjAAMDUGA1UdEQQuMCyCCm90aGVyLnRlc3SC\n" \
	"BioudGVzdIcECgAAAYcQ/QAAAAAAAAAAAAAAAAAAATATBgNVHSUEDDAKBggrBgEF\n" \
	"BQcDAjAFBgMrZXADQQAA1Dq5/DBFcmGGM34xMsbvMMr1Jd1UYIbWii9ffhOtJ2la\n" \
	"iBcYL4DFtr7x0eeuvDSdLIyGEmmatBYYbjssWaIN\n"                         \
	"-----END CERTIFICATE-----\n"
/* the session under the fuzzer */
#define OWN_PEM                                                              \
	"-----BEGIN CERTIFICATE-----\n"                                      \
	"MIIBHTCB0KADAgECAhABsqiliqeikXksR9+S6j9MMAUGAytlcDARMQ8wDQYDVQQD\n" \
	"EwZpc3N1ZXIwIBcNMjMwOTI1MTExODA0WhgPMjA3NDA2MDcyMzQ0NDRaMA4xDDAK\n" \
	"BgNVBAMTA293bjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNsixY0ebU7CiOpZ\n" \
	"krVi5XUCyurnalBpvUlkkrG0hoya6wdvztnOHyWxoDfP9nXPa9MtrdEFirTdYxP3\n" \
	"j45CPSGjEDAOMAwGA1UdEwEB/wQCMAAwBQYDK2VwA0EAeMzSTeAq5VBEgn6uvCEx\n" \
	"6U9MTo+Iox5bShIBOf1K08RE4OPAIgt0HKZ8sXjOF8EGEhy6AgquisxuZTQ6Xn7z\n" \
	"Cg==\n"                                                             \
	"-----END CERTIFICATE-----\n"
#define OWN_KEY                                                              \
	"-----BEGIN PRIVATE KEY-----\n"                                      \
	"MIGUAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBHoweAIBAQQhALoZzmTYSEuKSSVr\n" \
	"wlmR1NNk4zdfHQuWihAFnlny7cPjoAoGCCqGSM49AwEHoUQDQgAE2yLFjR5tTsKI\n" \
	"6lmStWLldQLK6udqUGm9SWSSsbSGjJrrB2/O2c4fJbGgN8/2dc9r0y2t0QWKtN1j\n" \
	"E/ePjkI9IQ==\n"                                                     \
	"-----END PRIVATE KEY-----\n"
