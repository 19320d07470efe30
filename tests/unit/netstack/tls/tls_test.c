#include "tests/unit/test.h"
