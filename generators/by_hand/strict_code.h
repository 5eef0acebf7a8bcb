// A writer's Halide code under the rules of a kernel: every float operation strict (generators/lower/strict.h), min and max
// with NaN, functions by generators/math.
#pragma once
#include "Halide.h"
#include "generators/math/math.h"

namespace lossc::by_hand {

Halide::Expr strict(const Halide::Expr& value, math::Env env);
// The same for a whole kernel, whose target is strict_float: for Pipeline::add_custom_lowering_pass, which takes ownership.
Halide::Internal::IRMutator* strict_pass(math::Env env);
// Is it a function of floats that strict() knows, or leaves to libm? By name, without _f32 or _f64.
bool knows_function(const std::string& name);
// The name of a Call without _f32 or _f64.
std::string function_of(const std::string& name);

}  // namespace lossc::by_hand
