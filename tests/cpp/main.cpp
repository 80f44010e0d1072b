#include "cpp/testing.hpp"

TEST_MAIN()
