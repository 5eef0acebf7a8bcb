#include "builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace lossc {
namespace {

thread_local Builder* running = nullptr;

std::vector<Definition>& registry() {
  static std::vector<Definition> all;
  return all;
}

std::string base_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

const char* type_name(ir::Type t) {
  return t == ir::Type::Float ? "a float" : t == ir::Type::Int ? "an integer" : "a truth value";
}

void check_documentation(const Builder& b) {
  const Program& p = b.program;
  const About& a = p.about;
  auto need = [&](const std::string& text, const char* what) {
    if (text.empty())
      b.fail(fmt::format("about() lacks .{}: a definition without title, paper, equation and edges does not build", what));
  };
  need(a.title, "title"), need(a.paper, "paper"), need(a.equation, "equation"), need(a.edges, "edges");
  for (const auto& t : p.graph.tensors)
    if (t.doc.empty() && is_declared(t.role))
      b.fail(fmt::format("tensor '{}' has no documentation: say what it holds, its units and valid range", t.name));
  for (const auto& q : p.graph.params)
    if (q.doc.empty()) b.fail(fmt::format("param '{}' has no documentation", q.name));
  for (const auto& o : p.options)
    if (o.doc.empty()) b.fail(fmt::format("option '{}' has no documentation", o.name));
}

}  // namespace

Registrar::Registrar(const char* name, const char* family, const char* file, void (*body)()) {
  auto& all = registry();
  Definition d{name, family, file, body};
  all.insert(std::upper_bound(all.begin(), all.end(), d,
                              [](auto& a, auto& b) { return std::string(a.name) < b.name; }),
             d);
}
const std::vector<Definition>& definitions() { return registry(); }
void forget(const Definition& definition) {
  std::erase_if(registry(), [&](const Definition& d) { return d.body == definition.body; });
}

Builder::Builder(const Definition& d, std::vector<Fact> choices) : choices_(std::move(choices)), outer_(running) {
  running = this;
  program.name = d.name;
  program.family = d.family;
  program.file = d.file;
}
Builder::~Builder() { running = outer_; }

Builder& Builder::current() {
  if (!running) throw DefinitionError("the words of the language may be used only inside LOSSC_LOSS");
  return *running;
}

int Builder::fact(Fact::Kind kind, int id, int fallback) {
  for (const Fact& f : program.facts)
    if (f.kind == kind && f.id == id) return f.value;
  for (const Fact& f : choices_)
    if (f.kind == kind && f.id == id) fallback = f.value;
  program.facts.push_back({kind, id, fallback});
  return fallback;
}

bool Builder::absent(ir::Id index) const {
  const ir::Id axis = program.graph.indices[index].axis;
  if (!program.graph.axes[axis].optional) return false;
  return const_cast<Builder*>(this)->fact(Fact::AxisGiven, axis, 0) == 0;
}

std::vector<ir::Id> Builder::present(const Indices& indices) const {
  std::vector<ir::Id> ids;
  for (Index i : indices.list)
    if (!absent(i.id)) ids.push_back(i.id);
  return ids;
}

void Builder::locate(const Where& where) {
  where_ = where;
  if (program.file == where.file_name()) written_ = where;
  auto& files = program.graph.files;
  auto it = std::find(files.begin(), files.end(), where.file_name());
  program.graph.file = static_cast<int>(it - files.begin());
  if (it == files.end()) files.push_back(where.file_name());
  program.graph.line = static_cast<int>(where.line());
}

void Builder::fail(const std::string& what, const Where& at) const {
  // Words made of other words (sq of a product) fail in our own file; the writer wants to know where in theirs.
  const Where& where = at.line() && program.file != at.file_name() && written_.line() ? written_ : at;
  const std::string place = where.line() ? fmt::format("{}:{}", base_name(where.file_name()), where.line())
                                         : std::string(base_name(program.file));
  throw DefinitionError(fmt::format("{}: loss '{}': {}", place, program.name, what));
}

std::string Builder::list(ir::IndexSet set) const {
  std::string out;
  for (size_t k = 0; k < program.graph.indices.size(); k++)
    if (set & ir::bit(static_cast<ir::Id>(k))) out += (out.empty() ? "" : ", ") + program.graph.indices[k].name;
  return "{" + out + "}";
}

ir::Id Builder::as_float(Arg a) {
  locate(a.where);
  auto& g = program.graph;
  if (g.type(a.node) == ir::Type::Bool)
    fail(fmt::format("`{}` is a truth value where a number is wanted; write number(...) or select(..., 1, 0), or count(...) for a sum",
                     show(a.node)));
  return g.unary(ir::Op::ToFloat, a.node);
}

ir::Id Builder::as_bool(Arg a) {
  locate(a.where);
  if (program.graph.type(a.node) != ir::Type::Bool)
    fail(fmt::format("`{}` is {} where a truth value is wanted; compare it with something", show(a.node),
                     type_name(program.graph.type(a.node))));
  return a.node;
}

ir::Id Builder::as_int(Arg a) {
  locate(a.where);
  if (program.graph.type(a.node) != ir::Type::Int)
    fail(fmt::format("`{}` is {} where an integer (an index, labels, an extent) is wanted{}", show(a.node),
                     type_name(program.graph.type(a.node)),
                     program.graph.type(a.node) == ir::Type::Float ? "; to_int(...) rounds a float down to one" : ""));
  return a.node;
}

std::pair<ir::Id, ir::Id> Builder::same(Arg a, Arg b) {
  auto& g = program.graph;
  if (g.type(a.node) == ir::Type::Int && g.type(b.node) == ir::Type::Int) {
    locate(a.where);
    return {a.node, b.node};
  }
  ir::Id y = as_float(b);
  return {as_float(a), y};
}

namespace {

// Whether one axis is declared as the other and one place more: the lengths along the other are its places.
bool one_longer(const ir::Graph& g, ir::Id axis, ir::Id other) {
  const auto is_one = [&](ir::Id node) { return g.at(node).op == ir::Op::Const && g.at(node).value == 1; };
  const auto is_extent = [&](ir::Id node, ir::Id of) { return g.at(node).op == ir::Op::Extent && g.at(node).sym == of; };
  const auto says = [&](ir::Id of, ir::Op op, ir::Id extent_of) {
    if (g.axes[of].length == ir::kNone) return false;
    const ir::Node& n = g.at(g.axes[of].length);
    if (n.op != op) return false;
    return (is_extent(n.args[0], extent_of) && is_one(n.args[1])) || (op == ir::Op::Add && is_one(n.args[0]) && is_extent(n.args[1], extent_of));
  };
  return says(axis, ir::Op::Add, other) || says(other, ir::Op::Sub, axis);
}

}  // namespace

void Builder::check_key(ir::Id key, ir::Id index, const std::string& expression) const {
  const ir::Graph& g = program.graph;
  const ir::Node& n = g.at(key);
  if (n.op != ir::Op::Load) return;
  const ir::Tensor& labels = g.tensors[n.sym];
  const ir::Id axis = g.indices[index].axis;
  if (labels.range_axis == axis) return;
  if (labels.range_axis != ir::kNone && labels.range_inclusive && one_longer(g, axis, labels.range_axis)) return;
  const std::string declared = labels.range_axis == ir::kNone ? "no range is declared for them"
                                                              : fmt::format("they are declared in range of axis {}", g.axes[labels.range_axis].name);
  fail(fmt::format("`{}` looks up along axis {} by labels '{}', but {}; want labels(\"{}\", ...).in_range({})", expression,
                   g.axes[axis].name, labels.name, declared, labels.name, g.indices[index].name));
}

namespace {

// The default must be a value that a call may have.
void check_params(const Builder& b) {
  for (const auto& [id, where] : b.params_at) {
    const ir::Param& p = b.program.graph.params[static_cast<size_t>(id)];
    const bool low = p.low_open ? p.fallback > p.low : p.fallback >= p.low;
    const bool high = p.high_open ? p.fallback < p.high : p.fallback <= p.high;
    if (low && high) continue;
    const std::string want = !low ? fmt::format("{} {}", p.low_open ? ">" : ">=", p.low) : fmt::format("{} {}", p.high_open ? "<" : "<=", p.high);
    b.fail(fmt::format("param '{}' has the default {}, but is declared {}", p.name, p.fallback, want), where);
  }
}

// An axis whose length no tensor tells has none.
void check_axes(const Builder& b) {
  const ir::Graph& g = b.program.graph;
  std::vector<char> told(g.axes.size(), 0), used(g.axes.size(), 0);
  for (const ir::Tensor& t : g.tensors) {
    for (ir::Id i : is_declared(t.role) ? t.dims : std::vector<ir::Id>{}) told[g.indices[i].axis] = 1;
    if (t.range_axis != ir::kNone) used[t.range_axis] = 1;  // a call's labels are held against it
  }
  for (const ir::Node& n : g.nodes) {
    for (size_t i = 0; i < g.indices.size(); i++)
      if (n.free & ir::bit(static_cast<ir::Id>(i))) used[g.indices[i].axis] = 1;
    if (n.op == ir::Op::Extent) used[n.sym] = 1;
  }
  for (ir::Id i : b.program.rows) used[g.indices[i].axis] = 1;
  for (size_t a = 0; a < g.axes.size(); a++)
    if (used[a] && !told[a] && !g.axes[a].optional && g.axes[a].length == ir::kNone)
      b.fail(fmt::format("no tensor has axis '{}', so its length is not known; declare a tensor over it, or make it a count_axis", g.axes[a].name), b.axes_at[a]);
}

}  // namespace

bool is_declared(const Program& p, ir::Id param) {
  const auto holds = [&](const OptionInfo& o) { return o.param == param; };
  return param != p.reduction && param != p.denominator && std::none_of(p.options.begin(), p.options.end(), holds);
}

Program build(const Definition& definition, const std::vector<Fact>& choices) {
  Builder b(definition, choices);
  definition.body();
  b.locate(Where());
  if (b.program.value == ir::kNone) b.fail("no loss_per or loss_total: the definition says no loss");
  check_documentation(b);
  check_axes(b);
  check_params(b);
  add_objective(b.program);
  return std::move(b.program);
}

std::vector<Program> build_all(const Definition& definition) {
  std::vector<Program> forms;
  std::vector<std::vector<Fact>> todo{{}};
  while (!todo.empty()) {
    std::vector<Fact> choices = todo.front();
    todo.erase(todo.begin());
    Program p = build(definition, choices);
    // Each fact first asked after the chosen prefix opens its other values; so every reachable combination is built
    // exactly once, and combinations that the definition never asks about are not.
    for (size_t k = choices.size(); k < p.facts.size(); k++) {
      const Fact f = p.facts[k];
      const int n = f.kind == Fact::Option ? static_cast<int>(p.options[f.id].choices.size()) : 2;
      for (int v = 0; v < n; v++) {
        if (v == f.value) continue;
        std::vector<Fact> next(p.facts.begin(), p.facts.begin() + static_cast<long>(k));
        next.push_back({f.kind, f.id, v});
        todo.push_back(next);
      }
    }
    forms.push_back(std::move(p));
    if (forms.size() > 512)
      throw DefinitionError(fmt::format("loss '{}': more than 512 structural forms; make some options params", definition.name));
  }
  return forms;
}

}  // namespace lossc
