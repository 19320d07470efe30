# The scheduler.
LIBS += orchestrator/schedule
SRC_orchestrator/schedule := $(addprefix orchestrator/schedule/,schedule.c queue.c cache.c filter.c preempt.c evict.c bind.c amounts.c \
	match.c plugins.c spread.c pod_affinity.c volumes.c part.c)
DEPS_orchestrator/schedule := orchestrator/client orchestrator/schema base
UNIT_orchestrator/schedule := $(addprefix tests/unit/orchestrator/schedule/,match_test.c plugins_test.c preempt_test.c)
