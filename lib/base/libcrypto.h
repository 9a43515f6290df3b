// SPDX-License-Identifier: Apache-2.0
// OpenSSL's libcrypto, loaded when a function of it is called for the first time (library.h): its
// tables of pointers are relocated at each start, which takes longer than to see that nothing is to
// do. Include this, and never a header of OpenSSL's.
#ifndef KBUILD_BASE_LIBCRYPTO_H
#define KBUILD_BASE_LIBCRYPTO_H

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/obj_mac.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "lazy/libcrypto.h"

#endif
