/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * p256_gen: prints the table of multiples of P-256's base point that p256.c multiplies with: a program
 * of the build machine. Building the table at start would cost 25 ms.
 * Invariants: only the _alt variants, so that any x86-64 machine can build. Layout as s2n-bignum's
 * p256_scalarmulbase asks: block i holds j * 2^(BITS*i) * G for j = 1 .. 2^(BITS-1), Montgomery form. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <s2n-bignum.h> /* after stdint.h, which it wants */

#define BITS 4
#define BLOCK (1 << (BITS - 1))
#define BLOCKS (256 / BITS + 1)

int
main(void)
{
	uint64_t base[8] = {0xf4a13945d898c296, 0x77037d812deb33a0, 0xf8bce6e563a440f2,
		0x6b17d1f2e12c4247, 0xcbb6406837bf51f5, 0x2bce33576b315ece, 0x8ee7eb4a7c0f9e16,
		0x4fe342e2fe1a7f9b};

	printf("/* Made by p256_gen.c. */\n#include <stdint.h>\n\n#define P256_TABLE_BITS %d\n"
	       "static const uint64_t p256_table[%d] = {\n",
		BITS, BLOCKS * BLOCK * 8);
	for (int i = 0; i < BLOCKS; i++) {
		uint64_t point[8], mont[8];
		for (uint64_t j = 1; j <= BLOCK; j++) {
			const uint64_t k[4] = {j, 0, 0, 0};
			p256_scalarmul_alt(point, k, base);
			bignum_tomont_p256_alt(mont, point);
			bignum_tomont_p256_alt(mont + 4, point + 4);
			for (int w = 0; w < 8; w++)
				printf("0x%016llx,%s", (unsigned long long)mont[w],
					w == 7 ? "\n" : " ");
		}
		const uint64_t k[4] = {1 << BITS, 0, 0, 0};
		p256_scalarmul_alt(point, k, base);
		memcpy(base, point, sizeof(base));
	}
	printf("};\n");
	return 0;
}
