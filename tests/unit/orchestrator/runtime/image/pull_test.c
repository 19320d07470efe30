/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pull_test: pulls over HTTP from a small registry in this program: indexes, gzip and zstd, credentials,
 * wrong digests, connections cut in the middle, content that is there already. */
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include "base/disk.h"
#include "base/hash.h"
#include "netstack/http/http.h"
#include "orchestrator/runtime/image/pull.c"
#include "tests/unit/test.h"

struct blob_file {
	char digest[72];
	struct buf bytes;
	const char *type;
};

static struct blob_file files[16];
static size_t n_files;
static const char *tag_digest;
static struct loop *L;
static struct http_server *server;
static struct http_client *client;
static struct image_store *images;
static struct image_fetcher *fetcher;
static unsigned blob_gets, range_gets, cut_after, denied;
static bool want_auth, lie;

#define AWAIT(cond)                                                                                \
	do {                                                                                       \
		int64_t until_ = clock_mono_ns() + 20 * NS_PER_SEC;                                \
		while (!(cond) && clock_mono_ns() < until_)                                        \
			loop_turn(L, 50 * NS_PER_MS);                                              \
		CHECK(cond);                                                                       \
	} while (0)

static const char *
file_add(struct str bytes, const char *type)
{
	struct blob_file *f = &files[n_files++];
	uint8_t sum[32];

	sha256_of(bytes, sum);
	memcpy(f->digest, "sha256:", 8);
	for (size_t i = 0; i < 32; i++)
		snprintf(f->digest + 7 + 2 * i, 3, "%02x", sum[i]);
	buf_init(&f->bytes);
	buf_str(&f->bytes, bytes);
	f->type = type;
	return f->digest;
}

static void
blob_reply(struct http_req *r, struct blob_file *f)
{
	struct str range = http_headers_get(&r->headers, STR("Range"));
	uint64_t from = 0;
	char text[80];

	blob_gets++;
	if (range.n) {
		CHECK(str_starts(range, STR("bytes=")) && str_ends(range, STR("-")));
		CHECK_INT(str_to_u64(str_sub(range, 6, range.n - 1), &from), 0);
		range_gets++;
		snprintf(text, sizeof(text), "bytes %llu-%zu/%zu", (unsigned long long)from,
			f->bytes.len - 1, f->bytes.len);
		http_set_header(r, STR("Content-Range"), str_c(text));
	}
	if (cut_after && cut_after < f->bytes.len - from) {
		http_begin(r, from ? 206 : 200, STR("application/octet-stream"),
			(int64_t)(f->bytes.len - from));
		http_write(r, str_sub(buf_view(&f->bytes), from, from + cut_after));
		http_drop(r);
		return;
	}
	http_reply(r, from ? 206 : 200, STR("application/octet-stream"),
		str_sub(buf_view(&f->bytes), from, SIZE_MAX));
}

static void
on_request(void *arg, struct http_req *r)
{
	struct str auth = http_headers_get(&r->headers, STR("Authorization"));
	struct str last = STR_NONE;
	struct str head = STR_NONE;

	(void)arg;
	/* "user:secret" */
	if (want_auth && !str_eq(auth, STR("Basic dXNlcjpzZWNyZXQ="))) {
		denied++;
		http_set_header(r, STR("WWW-Authenticate"), STR("Basic realm=\"test\""));
		http_reply(r, 401, STR(""), STR(""));
		return;
	}
	if (!str_starts(r->path, STR("/v2/team/app/"))) {
		http_reply(r, 404, STR(""), STR(""));
		return;
	}
	str_rcut(r->path, '/', &head, &last);
	if (str_eq(last, STR("v1")))
		last = str_c(tag_digest);
	for (size_t i = 0; i < n_files; i++) {
		if (!str_eq_c(last, files[i].digest))
			continue;
		if (str_ends(head, STR("/blobs"))) {
			blob_reply(r, &files[i]);
			return;
		}
		http_set_header(r, STR("Docker-Content-Digest"),
			lie ? str_c(files[0].digest) : str_c(files[i].digest));
		http_reply(r, 200, str_c(files[i].type), buf_view(&files[i].bytes));
		return;
	}
	http_reply(r, 404, STR(""), STR(""));
}

static void
tar_file(struct buf *b, const char *name, struct str data)
{
	char h[512] = {0};
	unsigned sum = 0;

	snprintf(h, 100, "%s", name);
	snprintf(h + 100, 8, "%07o", 0644);
	snprintf(h + 108, 8, "%07o", (unsigned)getuid());
	snprintf(h + 116, 8, "%07o", (unsigned)getgid());
	snprintf(h + 124, 12, "%011llo", (unsigned long long)data.n);
	memset(h + 148, ' ', 8);
	h[156] = '0';
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t i = 0; i < 512; i++)
		sum += (uint8_t)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	buf_add(b, h, 512);
	buf_str(b, data);
	memset(h, 0, sizeof(h));
	buf_add(b, h, (512 - data.n % 512) % 512);
}

static void
gzip(struct str in, struct buf *out)
{
	z_stream z = {0};
	char *to = buf_reserve(out, in.n + 4096);

	CHECK(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	z.next_in = (Bytef *)(uintptr_t)in.p;
	z.avail_in = (uInt)in.n;
	z.next_out = (Bytef *)to;
	z.avail_out = (uInt)(in.n + 4096);
	CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
	buf_commit(out, z.total_out);
	deflateEnd(&z);
}

/* An index with a foreign and our manifest; two layers, gzip (1 MB that does not shrink) and zstd. */
static void
registry_fill(void)
{
	struct buf tar[2] = {BUF_INIT, BUF_INIT};
	struct buf packed[2] = {BUF_INIT, BUF_INIT};
	struct buf text = BUF_INIT;
	char zero[1024] = {0};
	char *noise = malloc(1 << 20);
	char diff[2][72];
	const char *layer[2];
	const char *config = NULL;
	const char *manifest = NULL;
	size_t sizes[3];

	for (size_t i = 0; i < 1 << 20; i++)
		noise[i] = (char)(hash_fnv32a(str_from((const char *)&i, sizeof(i))) >> 7);
	tar_file(&tar[0], "big", str_from(noise, 1 << 20));
	tar_file(&tar[1], "small", STR("second layer\n"));
	for (size_t i = 0; i < 2; i++) {
		buf_add(&tar[i], zero, sizeof(zero));
		memcpy(diff[i], file_add(buf_view(&tar[i]), ""), 72);
		n_files--;
		buf_release(&files[n_files].bytes);
	}
	gzip(buf_view(&tar[0]), &packed[0]);
	buf_commit(&packed[1], 0);
	{
		char *to = buf_reserve(&packed[1], ZSTD_compressBound(tar[1].len));

		buf_commit(&packed[1],
			ZSTD_compress(
				to, ZSTD_compressBound(tar[1].len), tar[1].data, tar[1].len, 3));
	}
	for (size_t i = 0; i < 2; i++) {
		layer[i] = file_add(buf_view(&packed[i]), "");
		sizes[i] = packed[i].len;
	}
	buf_fmt(&text,
		"{\"architecture\":\"" STR_FMT "\",\"os\":\"linux\",\"config\":{\"User\":\"7\"},"
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\",\"%s\"]}}",
		STR_ARG(image_arch()), diff[0], diff[1]);
	config = file_add(buf_view(&text), "");
	sizes[2] = text.len;
	buf_clear(&text);
	buf_fmt(&text,
		"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		"\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\","
		"\"size\":%zu},\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\","
		"\"digest\":\"%s\",\"size\":%zu},{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+zstd\","
		"\"digest\":\"%s\",\"size\":%zu}]}",
		config, sizes[2], layer[0], sizes[0], layer[1], sizes[1]);
	manifest = file_add(buf_view(&text), "application/vnd.oci.image.manifest.v1+json");
	sizes[0] = text.len;
	buf_clear(&text);
	buf_fmt(&text,
		"{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"%s\",\"size\":1,\"platform\":{"
		"\"os\":\"linux\",\"architecture\":\"s390x\"}},{\"digest\":\"%s\",\"size\":%zu,\"platform\":{"
		"\"os\":\"linux\",\"architecture\":\"" STR_FMT "\"}}]}",
		layer[0], manifest, sizes[0], STR_ARG(image_arch()));
	tag_digest = file_add(
		buf_view(&text), "application/vnd.docker.distribution.manifest.list.v2+json");
	free(noise);
	buf_release(&text);
	for (size_t i = 0; i < 2; i++) {
		buf_release(&tar[i]);
		buf_release(&packed[i]);
	}
}

static char REF[80];

static void
open_all(const char *dir)
{
	struct http_addr addr = {0};
	struct http_addr bound = {0};
	struct http_server_config sc = {.on_request = on_request};
	struct http_client_config cc = {0};
	struct runtime_registry_endpoint ep = {.plain_http = true};
	struct runtime_registry reg = {STR("*"), &ep, 1};
	struct runtime_config rc = {.registries = &reg, .n_registries = 1};
	char host[48];
	char path[160];
	struct err e = {0};

	L = loop_new(NULL, "pull");
	CHECK_INT(http_addr_parse(STR("127.0.0.1:0"), &addr), 0);
	CHECK_INT(http_listen(&addr, false, &sc.listen_fd, &bound, &e), 0);
	sc.loop = L;
	CHECK_INT(http_server_new(&sc, &server), 0);
	cc.loop = L;
	CHECK_INT(http_client_new(&cc, &client), 0);
	snprintf(host, sizeof(host), "127.0.0.1:%u", bound.port);
	snprintf(REF, sizeof(REF), "%s/team/app:v1", host);
	ep.host = str_c(host);
	rc.http = client;
	snprintf(path, sizeof(path), "%s/%s", TEST_TMP, dir);
	CHECK_INT(image_store_open(L, str_c(path), &images, &e), 0);
	CHECK_INT(image_fetcher_new(L, images, &rc, &fetcher, &e), 0);
	blob_gets = range_gets = cut_after = denied = 0;
	want_auth = lie = false;
	if (!n_files)
		registry_fill();
}

static void
close_all(void)
{
	image_pulls_drop(fetcher);
	image_fetcher_free(fetcher);
	image_store_close(images);
	http_client_free(client);
	http_server_free(server);
	/* What helper threads still have comes back before the loop goes. */
	for (int i = 0; i < 5; i++)
		loop_turn(L, 20 * NS_PER_MS);
	loop_free(L);
}

struct pulled {
	unsigned done;
	char id[80];
	struct err e;
};

static void
on_pulled(void *arg, struct str id, uint64_t bytes, const struct err *e)
{
	struct pulled *p = arg;

	(void)bytes;
	p->done++;
	str_copy_c(id, p->id, sizeof(p->id));
	p->e = e ? *e : (struct err){0};
}

static struct runtime_pull *
pull(const char *ref, const struct str *secrets, size_t n, struct pulled *p)
{
	struct runtime_pull_spec spec = {str_c(ref), secrets, n};
	struct runtime_pull *h = NULL;
	struct err e = {0};

	*p = (struct pulled){0};
	if (image_pull_start(fetcher, &spec, on_pulled, p, &h, &e))
		TEST_FAIL_("pull: %s", e.msg);
	return h;
}

static bool
open_to(const char *ref, const struct str *secrets, size_t n)
{
	struct runtime_pull_spec spec = {str_c(ref), secrets, n};

	return image_open_to(images, &spec);
}

#define ROOT_NEEDED()                                                                              \
	if (geteuid() != 0)                                                                        \
	SKIP("unpacking layers needs root")

TEST(pull_index_gzip_zstd_then_nothing_to_do)
{
	struct pulled p;
	struct buf text = BUF_INIT;
	struct image *i = NULL;
	char path[320];

	ROOT_NEEDED();
	open_all("a");
	pull(REF, NULL, 0, &p);
	AWAIT(p.done);
	CHECK_STR(p.e.msg, "");
	i = image_store_find(images, str_c(REF));
	CHECK(i != NULL);
	CHECK_STR(i->id, p.id);
	CHECK_STR(i->config.user, "7");
	CHECK_INT(i->n_layers, 2);
	snprintf(path, sizeof(path), "%s/a/layers/" STR_FMT "/small", TEST_TMP,
		STR_ARG(i->layers[1]));
	CHECK_INT(disk_read_file(path, 100, &text), 0);
	CHECK_STR(buf_view(&text), "second layer\n");
	CHECK_INT(blob_gets, 3); /* the configuration and two layers */
	pull(REF, NULL, 0, &p);
	AWAIT(p.done);
	CHECK_INT(p.e.code, 0);
	CHECK_INT(blob_gets, 4); /* the configuration */
	buf_release(&text);
	close_all();
	/* A store opened anew knows it. */
	open_all("a");
	i = image_store_find(images, str_c(p.id));
	CHECK(i != NULL && i->n_names == 1 && i->n_digests == 1);
	CHECK(image_bytes(images, i) > 1 << 20);
	close_all();
}

TEST(pull_twice_at_once_loads_once)
{
	struct pulled p;
	struct pulled q;

	ROOT_NEEDED();
	open_all("b");
	pull(REF, NULL, 0, &p);
	pull(REF, NULL, 0, &q);
	AWAIT(p.done && q.done);
	CHECK_INT(p.e.code, 0);
	CHECK_INT(q.e.code, 0);
	CHECK_INT(blob_gets, 4);
	close_all();
}

TEST(pull_goes_on_where_it_was_cut)
{
	struct pulled p;

	ROOT_NEEDED();
	open_all("c");
	cut_after = 300000;
	pull(REF, NULL, 0, &p);
	AWAIT(p.done);
	CHECK_STR(p.e.msg, "");
	CHECK(range_gets >= 3);
	close_all();
}

TEST(pull_resumes_what_an_earlier_process_left)
{
	struct pulled p;
	struct stat st = {0};
	char path[200];

	ROOT_NEEDED();
	open_all("d");
	cut_after = 700000;
	snprintf(path, sizeof(path), "%s/d/ingest/%.64s", TEST_TMP, files[0].digest + 7);
	pull(REF, NULL, 0, &p);
	AWAIT(stat(path, &st) == 0 && st.st_size >= 200000);
	close_all();
	open_all("d");
	pull(REF, NULL, 0, &p);
	AWAIT(p.done);
	CHECK_STR(p.e.msg, "");
	CHECK_INT(range_gets, 1);
	/* What is unpacked is not kept twice. */
	CHECK(stat(path, &st) != 0);
	close_all();
	/* Wrong bytes left behind: found out, loaded anew. */
	open_all("e");
	snprintf(path, sizeof(path), "%s/e/ingest/%.64s", TEST_TMP, files[0].digest + 7);
	CHECK_INT(disk_write_file(path, STR("these are not the bytes"), 0600), 0);
	pull(REF, NULL, 0, &p);
	AWAIT(p.done);
	CHECK_STR(p.e.msg, "");
	close_all();
}

TEST(pull_credentials)
{
	struct pulled p;
	struct buf s = BUF_INIT;
	char ref[80];
	struct str secrets[2] = {
		STR("{\"auths\":{\"other.example\":{\"auth\":\"eDp5\"}}}"), STR_NONE};

	ROOT_NEEDED();
	open_all("f");
	want_auth = true;
	pull(REF, secrets, 1, &p);
	AWAIT(p.done);
	CHECK_INT(p.e.code, -EACCES);
	CHECK(strstr(p.e.msg, "failed to pull and unpack image") &&
		strstr(p.e.msg, "401 Unauthorized"));
	buf_fmt(&s, "{\"auths\":{\"http://%.*s\":{\"username\":\"user\",\"password\":\"secret\"}}}",
		(int)(strchr(REF, '/') - REF), REF);
	secrets[1] = buf_view(&s);
	pull(REF, secrets, 2, &p);
	AWAIT(p.done);
	CHECK_STR(p.e.msg, "");
	/* That it is here now is no way around the registry's answer, also after a restart. */
	str_copy_c(str_c(REF), ref, sizeof(ref)); /* the registry's port changes */
	for (int i = 0; i < 2; i++) {
		CHECK(!open_to(ref, NULL, 0));
		CHECK(!open_to(ref, secrets, 1));
		CHECK(open_to(ref, secrets, 2));
		close_all();
		open_all("f");
	}
	/* Once anybody may have it, anybody may. */
	pull(REF, NULL, 0, &p);
	AWAIT(p.done);
	CHECK(open_to(REF, NULL, 0));
	buf_release(&s);
	close_all();
}

TEST(pull_errors)
{
	struct pulled p;
	char ref[120];
	struct runtime_pull_spec spec = {STR("x/UPPER"), NULL, 0};
	struct runtime_pull *h = NULL;
	struct err e = {0};

	open_all("g");
	CHECK_INT(image_pull_start(fetcher, &spec, on_pulled, &p, &h, &e), -EINVAL);
	snprintf(ref, sizeof(ref), "%.*s/team/nothing:v1", (int)(strchr(REF, '/') - REF), REF);
	pull(ref, NULL, 0, &p);
	AWAIT(p.done);
	CHECK_INT(p.e.code, -ENOENT);
	CHECK(strstr(p.e.msg, ": not found"));
	lie = true;
	pull(REF, NULL, 0, &p);
	AWAIT(p.done);
	CHECK_INT(p.e.code, -EBADMSG);
	lie = false;
	/* A layer whose bytes are not those the manifest names. */
	files[0].bytes.data[1000] ^= 1;
	pull(REF, NULL, 0, &p);
	AWAIT(p.done);
	files[0].bytes.data[1000] ^= 1;
	CHECK_INT(p.e.code, -EBADMSG);
	CHECK(image_store_find(images, str_c(REF)) == NULL);
	close_all();
}

TEST(pull_cancelled_says_nothing)
{
	struct pulled p;
	struct runtime_pull *h = NULL;

	open_all("h");
	h = pull(REF, NULL, 0, &p);
	image_pull_cancel(h);
	h = pull(REF, NULL, 0, &p);
	AWAIT(blob_gets >= 1);
	image_pull_cancel(h);
	for (int i = 0; i < 10; i++)
		loop_turn(L, 10 * NS_PER_MS);
	CHECK_INT(p.done, 0);
	close_all();
}
