/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * oid: the object identifiers this folder knows, as their DER content. Private to this folder. */
#ifndef NETSTACK_TLS_OID_H
#define NETSTACK_TLS_OID_H

#include "base/str.h"

#define OID_CN STR("\x55\x04\x03")
#define OID_O STR("\x55\x04\x0a")
#define OID_EC_KEY STR("\x2a\x86\x48\xce\x3d\x02\x01")
#define OID_P256 STR("\x2a\x86\x48\xce\x3d\x03\x01\x07")
#define OID_P384 STR("\x2b\x81\x04\x00\x22")
#define OID_P521 STR("\x2b\x81\x04\x00\x23")
#define OID_RSA STR("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")
#define OID_ECDSA_SHA256 STR("\x2a\x86\x48\xce\x3d\x04\x03\x02")
#define OID_ECDSA_SHA384 STR("\x2a\x86\x48\xce\x3d\x04\x03\x03")
#define OID_ECDSA_SHA512 STR("\x2a\x86\x48\xce\x3d\x04\x03\x04")
#define OID_RSA_SHA256 STR("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b")
#define OID_RSA_SHA384 STR("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c")
#define OID_RSA_SHA512 STR("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d")
#define OID_ED25519 STR("\x2b\x65\x70")
#define OID_SKI STR("\x55\x1d\x0e")
#define OID_KU STR("\x55\x1d\x0f")
#define OID_SAN STR("\x55\x1d\x11")
#define OID_BASIC STR("\x55\x1d\x13")
#define OID_NAME_CONSTRAINTS STR("\x55\x1d\x1e")
#define OID_AKI STR("\x55\x1d\x23")
#define OID_EKU STR("\x55\x1d\x25")
#define OID_EKU_ANY STR("\x55\x1d\x25\x00")
#define OID_EKU_SERVER STR("\x2b\x06\x01\x05\x05\x07\x03\x01")
#define OID_EKU_CLIENT STR("\x2b\x06\x01\x05\x05\x07\x03\x02")
#define OID_EXTENSION_REQUEST STR("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e")

#endif
