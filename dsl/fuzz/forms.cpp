#include "dsl/words/words.h"
#include "tree.h"

namespace lossc::fuzz {

const std::vector<Form>& forms() {
  static const std::vector<Form> all = [] {
    std::vector<Form> list{LOSSC_FORM('f', "", "", Nothing, expr(v))};
    for (const words::Word& w : words::list()) list.insert(list.end(), w.forms.begin(), w.forms.end());
    return list;
  }();
  return all;
}

}  // namespace lossc::fuzz
