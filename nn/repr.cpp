// A module as text, in the shape of PyTorch's repr: one line a module, children indented.

#include "nn/layer_checks.hpp"
#include "nn/module.hpp"

namespace lucid::nn {

std::string detail::python(double value) {
  const std::string text = lucid::str(value);
  return text.find_first_not_of("-0123456789") == std::string::npos ? text + ".0" : text;
}

namespace {

struct Line {
  std::size_t depth;
  std::string text;
};

class Printer final : public FieldVisitor {
 public:
  void print(const std::string& label, Module& module) {
    const std::string before = label.empty() ? "" : lucid::str("(", label, "): ");
    open(lucid::str(before, module.type_name(), "("));
    module.visit_fields(*this);
    close(lucid::str(before, module.type_name(), "(", module.extra_repr(), ")"));
  }
  void parameter(const std::string&, Parameter&) override {}
  void buffer(const std::string&, Buffer&) override {}
  void module(const std::string& name, Module& field) override { print(last_part(name), field); }
  void enter_list(const std::string& name) override {
    open(lucid::str("(", last_part(name), "): ModuleList("));
  }
  void leave_list() override {
    // A list of parameters shows nothing, as they do.
    if (lines_.back().depth + 1 == depth_)
      lines_.pop_back(), --depth_;
    else
      close("");
  }
  std::string text() const {
    std::string out;
    for (const Line& line : lines_)
      out += (out.empty() ? "" : "\n") + std::string(2 * line.depth, ' ') + line.text;
    return out;
  }

 private:
  // The members of a list, "ups.0", are called by their number inside it.
  static std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }
  void open(const std::string& head) { lines_.push_back({depth_++, head}); }
  // Ends what open() began; `alone` is its text when nothing came in between.
  void close(const std::string& alone) {
    --depth_;
    if (lines_.back().depth == depth_)
      lines_.back().text = alone;
    else
      lines_.push_back({depth_, ")"});
  }

  std::vector<Line> lines_;
  std::size_t depth_ = 0;
};

}  // namespace

std::string Module::str() const {
  Printer printer;
  printer.print("", const_cast<Module&>(*this));
  return printer.text();
}

}  // namespace lucid::nn
