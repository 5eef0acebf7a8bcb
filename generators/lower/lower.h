// From a step of a plan to one Halide kernel. No loss is known here: a kernel is named after its structure.
#pragma once
#include <string>
#include <vector>

#include "../../dsl/plan.h"
#include "../../runtime/table.h"
#include "../../schedules/isa.h"

namespace lossc::lower {

struct KernelArg {
  rt::ArgKind kind;
  int id;        // Buffer: of the plan; Param: of the program; Extent: axis
  bool written;
};

// What a step's kernel is, without building it: cheap, no Halide.
struct Signature {
  std::string structure;        // canonical text; equal texts mean one shared kernel (per dtype and ISA)
  std::string kind;             // "map", "reduce", "scatter", "contract_nn", ...: the readable part of its name
  std::vector<KernelArg> args;  // in call order, outputs last
  int split_dim;                // as rt::Step::split_dim
  bool inner;                   // as rt::Step::inner
  bool over;                    // may it be cut along what it reduces over?
  float flops;                  // per element of the domain; a transcendental function counts 10
};
Signature signature(const plan::Plan& plan, int step);

// What a kernel's code is made for. A library with Hessian products spends most of its compile time on kernels that only
// these use; they get a short version: one vector at a time, one case of strides, no strength reduction of loops.
enum class Code : uint8_t { Fast, Small };

struct Output {
  std::string object;  // path of the .o to write
  std::string stmt;    // path of the readable .stmt, or empty
};
// Compiles the step's kernel under `symbol` (C linkage; Halide's argv form is `symbol`_argv). Float type: 32 or 64
// bits. Throws std::runtime_error. LLVM may abort on a compiler bug, so callers run this in a process of its own.
void compile(const plan::Plan& plan, int step, int float_bits, const schedules::Isa& isa, Code code,
             const std::string& symbol, const Output& output);

}  // namespace lossc::lower
