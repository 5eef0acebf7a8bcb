// The one place that says how close is close, and why.
#pragma once
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "dsl/finite_difference.h"

namespace lossc::tests {

// |got - want| <= relative * max(|want|, the largest finite |want| of the array) + absolute. The array's largest value
// is the scale because its elements come out of the same sums: where one element is small by cancellation, its error
// is still that of the terms.
struct Tolerance {
  double relative, absolute;
};

// Oracle against an independent float64 implementation. Both pass through at most some hundred roundings of 1.1e-16,
// times condition numbers up to about 1e3 (normalised differences, 1/temperature): 1e2 * 1e-16 * 1e3 = 1e-11, and a
// decade for the libraries' own functions. A wrong formula is off by far more. The absolute part is what is left of
// values of size 1 where everything cancels.
inline constexpr Tolerance kGolden{1e-10, 1e-13};

// The same graph computed twice in float64, in another order.
inline constexpr Tolerance kReordered{1e-12, 1e-14};

inline double scale_of(const std::vector<double>& values) {
  double scale = 0;
  for (double v : values) {
    if (std::isfinite(v)) scale = std::max(scale, std::abs(v));
  }
  return scale;
}

// NaN is equal to NaN, and an infinity to itself only.
inline testing::AssertionResult close(const std::vector<double>& got, const std::vector<double>& want, Tolerance t) {
  if (got.size() != want.size())
    return testing::AssertionFailure() << got.size() << " elements, wanted " << want.size();
  const double scale = scale_of(want);
  for (size_t k = 0; k < got.size(); k++) {
    const double bound = t.relative * scale + t.absolute;
    const bool same = std::isnan(want[k])   ? std::isnan(got[k])
                      : std::isinf(want[k]) ? got[k] == want[k]
                                            : std::abs(got[k] - want[k]) <= bound;
    if (!same)
      return testing::AssertionFailure() << fmt::format("element {} of {} is {:.17g}, wanted {:.17g} +- {:.2g}", k,
                                                        got.size(), got[k], want[k], bound);
  }
  return testing::AssertionSuccess();
}

// A derived gradient against central differences. Difference::error already bounds truncation and rounding to within
// the constant that an estimate lacks, hence the factor of 4. Elements next to a kink have no derivative to compare
// with; that they are few, and that the bound is small beside the gradient, is checked too, or the test would be empty.
inline testing::AssertionResult close(const std::vector<double>& gradient, const std::vector<Difference>& differences,
                                      double least_smooth = 0.5) {
  if (gradient.size() != differences.size())
    return testing::AssertionFailure() << gradient.size() << " elements, wanted " << differences.size();
  const double scale = std::max(scale_of(gradient), 1e-2);
  size_t taken = 0, smooth = 0;
  for (size_t k = 0; k < gradient.size(); k++) {
    const Difference& d = differences[k];
    taken += d.taken;
    if (!d.smooth) continue;
    smooth += d.error <= 1e-4 * scale;
    if (!(std::abs(gradient[k] - d.value) <= 4 * d.error))
      return testing::AssertionFailure() << fmt::format(
                 "element {} of {}: gradient {:.12g}, differences {:.12g} +- {:.2g}", k, gradient.size(), gradient[k],
                 d.value, d.error);
  }
  if (double(smooth) < least_smooth * double(taken))
    return testing::AssertionFailure() << smooth << " of " << taken << " elements could be compared";
  return testing::AssertionSuccess();
}

}  // namespace lossc::tests
