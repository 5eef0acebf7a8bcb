#include "oracle_nest.h"

#include <algorithm>

namespace lossc::oracle {

using ir::Id;
using ir::Op;

void Nest::run_level(size_t level, const std::function<void()>& sink) {
  const bool strips = level == loops.size();
  for (const Instruction& i : levels[level]) execute(*this, i, strips ? strip_length() : 1);
  if (strips) return sink();
  if (level + 1 == loops.size()) return run_level(level + 1, sink);
  for (int64_t k = 0; k < extents[level]; k++) {
    values[registers[loop_registers[level]].offset] = double(k);
    run_level(level + 1, sink);
  }
}

Compiler::Compiler(const Oracle& oracle, Nest& nest)
    : oracle_(oracle), graph_(oracle.graph_), inputs_(oracle.inputs_), nest_(nest), freeze_(oracle.base_ != nullptr),
      environment_(graph_.indices.size(), -1) {
  for (Id index : nest_.loops) nest_.extents.push_back(inputs_.extents[graph_.indices[index].axis]);
  nest_.levels.resize(nest_.loops.size() + 1);
  for (size_t l = 0; l < nest_.loops.size(); l++) {
    const int r = add_register(int(l) + 1);
    nest_.loop_registers.push_back(r);
    environment_[nest_.loops[l]] = r;
  }
  for (const Oracle* o = &oracle; o->place_; o = o->place_->parent) {
    environment_[o->place_->index] = add_register(0);
    nest_.bound.emplace_back(environment_[o->place_->index], &o->place_->at);
  }
  if (nest_.loops.empty()) return;
  double* innermost = &nest_.values[nest_.registers[nest_.loop_registers.back()].offset];
  for (int64_t k = 0; k < nest_.extents.back(); k++) innermost[k] = double(k);
}

int Compiler::add_register(int level) {
  const bool strip = level == int(nest_.loops.size()) && level > 0;
  nest_.registers.push_back({.level = level, .offset = nest_.values.size(), .stride = strip ? 1 : 0});
  nest_.values.resize(nest_.values.size() + (strip ? std::max<int64_t>(nest_.strip_length(), 1) : 1));
  return int(nest_.registers.size()) - 1;
}

int Compiler::emit(Instruction i) {
  int level = 0;
  for (int a : i.args) level = std::max(level, nest_.registers[a].level);
  i.out = add_register(level);
  const int out = i.out;
  nest_.levels[level].push_back(std::move(i));
  return out;
}

// A node that is computed once, whole, and looked up here.
int Compiler::stored(Id node, const Environment& env, bool frozen) {
  Instruction i{.op = Op::Load, .type = graph_.type(node), .out = 0, .args = {}, .node = node, .frozen = frozen};
  const ir::IndexSet bound = oracle_.bound_for(graph_.at(node).carried);
  for (Id index : ir::members(graph_.free(node) & ~bound)) {
    if (env[index] < 0) throw std::logic_error("oracle: index '" + graph_.indices[index].name + "' is not bound");
    i.shape.push_back(inputs_.extents[graph_.indices[index].axis]);
    i.args.push_back(env[index]);
  }
  return emit(std::move(i));
}

int Compiler::compile(Id node, const Environment& env) {
  Environment used;
  for (Id index : ir::members(graph_.free(node))) used.push_back(env[index]);
  auto key = std::make_pair(node, std::move(used));
  if (auto it = done_.find(key); it != done_.end()) return it->second;
  const int r = compile_fresh(node, env);
  done_.emplace(std::move(key), r);
  return r;
}

int Compiler::compile_fresh(Id node, const Environment& env) {
  const ir::Node& n = graph_.at(node);
  auto extent = [&](Id index) { return inputs_.extents[graph_.indices[index].axis]; };
  auto constant = [&](double value) {
    return emit({.op = Op::Const, .type = n.type, .out = 0, .args = {}, .value = value});
  };
  switch (n.op) {
    case Op::Const:
      return constant(n.value);
    case Op::Param:
      return constant(inputs_.params[n.sym]);
    case Op::Extent:
      return constant(double(inputs_.extents[n.sym]));
    case Op::Index:
      if (env[n.sym] < 0) throw std::logic_error("oracle: index '" + graph_.indices[n.sym].name + "' is not bound");
      return env[n.sym];
    case Op::StopGradient:
      // Of what is carried only the shift of a log-sum-exp is stopped, whose derivative is 0 either way.
      return freeze_ && !n.carried ? stored(n.args[0], env, true) : compile(n.args[0], env);
    case Op::StraightThrough: {
      if (!freeze_) return compile(n.args[0], env);
      const int change = emit(
          {.op = Op::Sub, .type = n.type, .out = 0, .args = {compile(n.args[1], env), stored(n.args[1], env, true)}});
      return emit({.op = Op::Add, .type = n.type, .out = 0, .args = {stored(n.args[0], env, true), change}});
    }
    case Op::Load: {
      const bool carried = graph_.tensors[n.sym].role == ir::TensorRole::Carried;
      Instruction i{.op = Op::Load, .type = n.type, .out = 0, .args = {}, .tensor = n.sym};
      if (carried) i.carried = uint64_t{1} << n.sym;
      // Of what is carried the place is the one at hand.
      const ir::IndexSet bound = carried ? oracle_.bound_for(i.carried) : 0;
      for (size_t k = 0; k < n.args.size(); k++) {
        if (bound & ir::bit(graph_.tensors[n.sym].dims[k])) continue;
        i.shape.push_back(extent(graph_.tensors[n.sym].dims[k]));
        i.args.push_back(compile(n.args[k], env));
      }
      return emit(std::move(i));
    }
    case Op::Reduce:
    case Op::Scatter:
    case Op::Order:
    case Op::Prefix:
    case Op::After:
    case Op::WholeByHand:
      return stored(node, env, false);
    case Op::At: {
      Environment inside = env;
      const int key = inside[n.sym] = compile(n.args[1], env);
      const int value = compile(n.args[0], inside);
      const double limit = double(extent(n.sym));
      return emit({.op = Op::At, .type = n.type, .out = 0, .args = {value, key}, .value = limit});
    }
    default:
      break;
  }
  std::vector<int> args;
  for (Id a : n.args) args.push_back(compile(a, env));
  Instruction i{.op = n.op, .type = n.type, .out = 0, .args = std::move(args)};
  if (n.op == Op::ByHand) i.by_hand = graph_.by_hand[size_t(n.sym)].get();
  return emit(std::move(i));
}

}  // namespace lossc::oracle
