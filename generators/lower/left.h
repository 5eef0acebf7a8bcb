// Values that a kernel makes for its own use and leaves in memory, too (plan::Step::left).
//
// Halide has no such output: one that others read must be computed whole before them. So the value carries the address with
// it, as a load of the element that it goes to, and where it is stored, after vectors and masks are made, the load becomes a
// second store.
#pragma once
#include "../../schedules/isa.h"
#include "Halide.h"

namespace lossc::lower {

// `value`, to be left at `place`, an element of an image, where `there` holds. Part of a Func's value, evaluated once for each.
Halide::Expr leave(const Halide::Expr& value, const Halide::Expr& place, const Halide::Expr& there);

// For Pipeline::add_custom_lowering_pass, which takes ownership; after mask_pass, of whose masks it makes masked stores. Lines
// are fetched `ahead` elements before they are stored to: a store to one that is not there waits, and others behind it.
Halide::Internal::IRMutator* left_pass(const schedules::Isa& isa, int ahead);

}  // namespace lossc::lower
