/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The checks of nvme-tls doctor. Each adds its findings; one that does not apply here adds none. */
#pragma once

#include "nvme-tls/doctor-report.h"

/* doctor-kernel.c */

/** doctor_kernel_family() - can this kernel ask for a TLS handshake? */
void doctor_kernel_family(struct doctor *d);
/** doctor_kernel_tls() - was NVMe/TCP built with TLS, for each side that this machine is on? */
void doctor_kernel_tls(struct doctor *d);
/** doctor_kernel_host_module() - nvme_tcp */
void doctor_kernel_host_module(struct doctor *d);
/** doctor_kernel_target_module() - nvmet_tcp */
void doctor_kernel_target_module(struct doctor *d);
/** doctor_kernel_tls_module() - tls, which encrypts */
void doctor_kernel_tls_module(struct doctor *d);

/* doctor-daemon.c */

/** doctor_daemon_serves() - does a daemon, and only ours, serve this network namespace? */
void doctor_daemon_serves(struct doctor *d);
/** doctor_daemon_workers() - has our daemon workers? */
void doctor_daemon_workers(struct doctor *d);
/** doctor_daemon_restarts() - does systemd have to start it again and again? */
void doctor_daemon_restarts(struct doctor *d);
/** doctor_daemon_configuration() - what "tlshd --check-config" says */
void doctor_daemon_configuration(struct doctor *d);

/* doctor-record.c; both only where the daemon has left a recording */

/** doctor_record_failures() - peers whose last handshake has failed, and why. */
void doctor_record_failures(struct doctor *d);
/** doctor_record_timeout() - does the kernel give handshakes the time that they take? */
void doctor_record_timeout(struct doctor *d);

/* doctor-policy.c */

/** doctor_policy_ciphers() - does the system's crypto policy leave what kTLS can do? */
void doctor_policy_ciphers(struct doctor *d);
/** doctor_policy_sha384() - is GnuTLS new enough for the SHA-384 keys that there are? */
void doctor_policy_sha384(struct doctor *d);

/* doctor-keys.c */

/** doctor_keys_keyring() - is the keyring there? */
void doctor_keys_keyring(struct doctor *d);
/** doctor_keys_usable() - keys that have ended, cannot be read, or have the wrong length */
void doctor_keys_usable(struct doctor *d);
/** doctor_keys_choice() - pairs with several keys, and which of them the kernel's host takes */
void doctor_keys_choice(struct doctor *d);
/** doctor_keys_prefix() - keys that another one shadows, whose identity begins alike */
void doctor_keys_prefix(struct doctor *d);

/* doctor-pairs.c */

/** doctor_pairs_key() - has each pair of this machine, or the one asked for, a key? */
void doctor_pairs_key(struct doctor *d);
/** doctor_pairs_identity() - is it the key that the other side has, as the command line or the recording says? */
void doctor_pairs_identity(struct doctor *d);
/** doctor_pairs_derivation() - is the loaded key the configured PSK that was given, and how derived? */
void doctor_pairs_derivation(struct doctor *d);

/* doctor-boot.c */

/** doctor_boot_keyfile() - the key file that is imported at boot */
void doctor_boot_keyfile(struct doctor *d);
/** doctor_boot_unit() - the units that start at boot */
void doctor_boot_unit(struct doctor *d);
/** doctor_boot_rule() - the udev rule that imports the keys when the keyring appears */
void doctor_boot_rule(struct doctor *d);

/* doctor-target.c */

/** doctor_target_tls() - do the target's ports offer TLS? */
void doctor_target_tls(struct doctor *d);
/** doctor_target_plain() - do those ports refuse what is not encrypted? */
void doctor_target_plain(struct doctor *d);

/* doctor-x509.c; all only where the configuration has certificates */

/** doctor_x509_certificates() - can they be read, and are they valid now and for some time? */
void doctor_x509_certificates(struct doctor *d);
/** doctor_x509_signer() - can the process be born that has the private keys? */
void doctor_x509_signer(struct doctor *d);
/** doctor_x509_clock() - is the clock right, by which they are judged? */
void doctor_x509_clock(struct doctor *d);

/* doctor-connect.c */

/** doctor_connect() - with --connect: a TLS handshake and NVMe's Connect with a target. */
void doctor_connect(struct doctor *d);
