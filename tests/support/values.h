// Values that tests expect, and how closely.
#pragma once
#include <gtest/gtest.h>

#include <limits>

#include "tests/support/definition.h"

namespace lossc::tests {

using Values = std::vector<double>;
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInf = std::numeric_limits<double>::infinity();

inline void expect_exactly(const Values& got, const Values& want) { EXPECT_TRUE(close(got, want, {0, 0})); }
inline void expect_nearly(const Values& got, const Values& want) { EXPECT_TRUE(close(got, want, kReordered)); }

}  // namespace lossc::tests
