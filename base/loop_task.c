/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * loop_task.c: the only place where threads are made: tasks (a thread with a loop of its own) and the
 * pool for blocking calls. Invariants: every thread has a stated stack size (musl's default is 128
 * KiB) and all signals blocked, so that they arrive where a signalfd waits; a loop is not freed while
 * blocking work is on its way to it. Must not: be called between fork and exec. */
#include "base/arena_int.h"
#include "base/doc_int.h"
#include "base/loop_int.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#define STACK_DEFAULT ((size_t)256 << 10)
#define POOL_MAX 4

#if defined(__SANITIZE_ADDRESS__) || defined(KEELSON_ASAN)
#define STACK_FACTOR 8 /* red zones around every local */
#else
#define STACK_FACTOR 1
#endif

static int
thread_start(size_t stack_bytes, void *(*fn)(void *), void *arg, pthread_t *ret)
{
	pthread_attr_t attr;
	sigset_t all, before;
	sigfillset(&all);
	if (pthread_attr_init(&attr) != 0)
		return -ENOMEM;
	pthread_attr_setstacksize(
		&attr, (stack_bytes ? stack_bytes : STACK_DEFAULT) * STACK_FACTOR);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(ret, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -rc;
}

static void
thread_end(void)
{
	doc_thread_end();
	arena_thread_end();
}

struct deep {
	void (*fn)(void *arg);
	void *arg;
};

static void *
deep_thread(void *arg)
{
	const struct deep *d = arg;
	d->fn(d->arg);
	thread_end();
	return NULL;
}

int
loop_call_deep(size_t stack_bytes, void (*fn)(void *arg), void *arg)
{
	struct deep d = {fn, arg};
	pthread_t thread;
	int rc = thread_start(stack_bytes, deep_thread, &d, &thread);
	return rc < 0 ? rc : -pthread_join(thread, NULL);
}

/* ---- tasks ---- */

static void *
task_thread(void *arg)
{
	struct loop *l = arg;
	struct loop_task *t = l->task;
	char name[16];
	l->owner = pthread_self();
	str_copy_c(str_c(l->name), name, sizeof(name));
	pthread_setname_np(pthread_self(), name);
	t->main_fn(l, t->arg);
	loop_run(l);
	if (t->exit_fn)
		t->exit_fn(l, t->arg);
	thread_end();
	return NULL;
}

static void
task_begin_simulated(void *arg)
{
	struct loop *l = arg;
	l->task->began = true;
	l->task->main_fn(l, l->task->arg);
}

int
loop_task_start(struct world *w, const char *name, size_t stack_bytes,
	void (*main_fn)(struct loop *l, void *arg), void (*exit_fn)(struct loop *l, void *arg),
	void *arg, struct loop **ret_loop)
{
	struct loop *l = loop_new(w, name);
	if (!l)
		return -ENOMEM;
	l->task = calloc(1, sizeof(*l->task));
	if (!l->task) {
		loop_free(l);
		return -ENOMEM;
	}
	*l->task = (struct loop_task){.main_fn = main_fn, .exit_fn = exit_fn, .arg = arg};
	int rc = w ? loop_post(l, task_begin_simulated, l)
		   : thread_start(stack_bytes, task_thread, l, &l->task->thread);
	if (rc < 0) {
		loop_free(l);
		return rc;
	}
	*ret_loop = l;
	return 0;
}

void
loop_task_join(struct loop *l)
{
	BUG_ON(!l->task);
	loop_stop(l, 0);
	if (!l->world) {
		pthread_join(l->task->thread, NULL);
		l->owner = pthread_self();
	} else if (l->task->began && l->task->exit_fn) {
		struct loop *caller = l->world->running;
		l->world->running = l;
		l->task->exit_fn(l, l->task->arg);
		l->world->running = caller;
	}
	loop_free(l);
}

/* ---- blocking work ---- */

struct job {
	struct job *next;
	struct loop *loop;
	void (*work)(void *arg);
	struct loop_msg *done; /* made beforehand, so that the end can always be told */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more; /* a job came */
	pthread_cond_t sent; /* a job's end was told */
	struct job *first, *last;
	unsigned threads, idle;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER,
	.more = PTHREAD_COND_INITIALIZER,
	.sent = PTHREAD_COND_INITIALIZER};

static void *
pool_thread(void *arg)
{
	(void)arg;
	pthread_setname_np(pthread_self(), "blocking");
	pthread_mutex_lock(&pool.lock);
	for (;;) {
		while (!pool.first) {
			pool.idle++;
			pthread_cond_wait(&pool.more, &pool.lock);
			pool.idle--;
		}
		struct job *j = pool.first;
		pool.first = j->next;
		if (!pool.first)
			pool.last = NULL;
		pthread_mutex_unlock(&pool.lock);
		j->work(j->done->arg);
		pthread_mutex_lock(&pool.lock);
		loop_send(j->loop, j->done);
		j->loop->n_blocking--;
		pthread_cond_broadcast(&pool.sent);
		free(j);
	}
	return NULL;
}

void
loop_wait_blocking(struct loop *l)
{
	pthread_mutex_lock(&pool.lock);
	while (l->n_blocking > 0)
		pthread_cond_wait(&pool.sent, &pool.lock);
	pthread_mutex_unlock(&pool.lock);
}

/* pool_put: under the pool's lock. A new thread only when none is free; without any thread it fails. */
static int
pool_put(struct job *j)
{
	if (pool.idle == 0 && pool.threads < POOL_MAX) {
		pthread_t thread;
		if (thread_start(0, pool_thread, NULL, &thread) == 0) {
			pthread_detach(thread);
			pool.threads++;
		} else if (pool.threads == 0) {
			return -ENOMEM;
		}
	}
	if (pool.last)
		pool.last->next = j;
	else
		pool.first = j;
	pool.last = j;
	j->loop->n_blocking++;
	pthread_cond_signal(&pool.more);
	return 0;
}

int
loop_blocking(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	if (l->world) {
		struct loop_msg *m = malloc(sizeof(*m));
		if (!m)
			return -ENOMEM;
		*m = (struct loop_msg){NULL, done, arg};
		work(arg);
		loop_send(l, m);
		return 0;
	}
	struct job *j = malloc(sizeof(*j));
	struct loop_msg *m = malloc(sizeof(*m));
	int rc = -ENOMEM;
	if (j && m) {
		*m = (struct loop_msg){NULL, done, arg};
		*j = (struct job){.loop = l, .work = work, .done = m};
		pthread_mutex_lock(&pool.lock);
		rc = pool_put(j);
		pthread_mutex_unlock(&pool.lock);
	}
	if (rc < 0) {
		free(j);
		free(m);
	}
	return rc;
}
